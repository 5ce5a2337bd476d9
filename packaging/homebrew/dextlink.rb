# Homebrew formula: client library, dextctl and dext-vfio-user on a Mac.
#
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Checked for syntax and against the Meson files, never used by Homebrew: docs/macos.md.
# There is no published archive, so it builds a git repository: HOMEBREW_DEXTLINK names its URL.
class Dextlink < Formula
  desc "PCI devices from user space through the VFIOUserPCIDriver driver extension"
  license "GPL-2.0-or-later"
  head ENV.fetch("HOMEBREW_DEXTLINK", "file:///usr/local/src/dextlink"), using: :git, branch: "main"

  depends_on "meson" => :build
  depends_on "ninja" => :build
  depends_on "pkgconf" => :build
  depends_on "scdoc" => :build
  depends_on "json-c"
  depends_on "libarchive"
  depends_on macos: :ventura

  def install
    # Names of devices would need libpci; numbers are printed instead.
    system "meson", "setup", "build", "-Dtests=false", "-Dlibpci=disabled", *std_meson_args
    system "meson", "compile", "-C", "build", "--verbose"
    system "meson", "install", "-C", "build"
  end

  def caveats
    <<~EOS
      The driver extension is not part of this. Programs that open it need an entitlement
      that only a signature can give: see docs/macos.md.
    EOS
  end

  test do
    assert_match "dextctl", shell_output("#{bin}/dextctl --version")
    (testpath/"test.c").write <<~C
      #include <apple-dext-client.h>
      int main(void) { return apple_dext_status_text(0) == NULL; }
    C
    system ENV.cc, "test.c", "-I#{include}", "-L#{lib}", "-lappledext", "-framework", "IOKit",
           "-framework", "CoreFoundation", "-o", "test"
    system "./test"
  end
end

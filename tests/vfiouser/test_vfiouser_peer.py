#!/usr/bin/env python3
"""The same rules for another server: what they ask of ours, an independent one answers too.

Runs when DEXTLINK_VFIO_USER_PEER names a program that serves libvfio-user's sample device
gpio-pci-idio-16 at the socket path that is its argument.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import unittest

import rules
import vfiouser as vu
import vfiousertest

PEER = os.environ.get("DEXTLINK_VFIO_USER_PEER")


@unittest.skipUnless(PEER, "DEXTLINK_VFIO_USER_PEER names no server")
class PeerTest(vfiousertest.ServerTest):
    """A server for each test, as one that refused a client may end."""
    ids = (0x494F, 0x0DC8)
    regions = (0, 0, 256, 0, 0, 0, 0, 256, 0)
    irqs = (1, 0, 0)
    usable_irq = vu.INTX
    readable = (vu.BAR2, 0)
    deviations = (
        "features",  # it migrates
        "replies",   # leaves the payload of a reply nobody asked for in the stream
        "a string",  # takes JSON that is no object
        "wrap",      # maps memory past 2^64
    )

    def setUp(self):
        super().setUp()
        self.server = vfiousertest.Server(lambda path: [PEER, path], is_ours=False).start()
        self.addCleanup(self.server.folder.cleanup)
        self.addCleanup(self.server.stop)


class Framing(PeerTest, rules.Framing):
    """As it says."""


class Negotiation(PeerTest, rules.Negotiation):
    """As it says."""

    def assert_the_next_attaches(self):
        """It ends with a client it refuses."""
        self.server.stop()
        self.server.socket.unlink(missing_ok=True)
        self.server.start()


class Information(PeerTest, rules.Information):
    """As it says."""


class Interrupts(PeerTest, rules.Interrupts):
    """As it says."""


class Dma(PeerTest, rules.Dma):
    """As it says."""


class Regions(PeerTest, rules.Regions):
    """As it says."""


if __name__ == "__main__":
    vfiousertest.main()

#!/usr/bin/env python3
"""dextbench: every figure is there for both hosts, and wrong command lines are met.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import toolstest
from toolstest import DEXTD, run

DEXTBENCH = sys.argv[3]
TIMES = ["config_read", "handoff", "ping_pong", "config_read_cold", "ping_pong_cold",
         "mmio_read_call", "mmio_load_trapped", "mmio_load_direct",
         "device_read_4k_shared", "device_read_4k_copied", "device_read_4k_served"]
CALL_RATIOS = {"config_read_to_handoff": ("config_read", "handoff"),
               "config_read_to_ping_pong": ("config_read", "ping_pong"),
               "config_read_to_ping_pong_cold": ("config_read_cold", "ping_pong_cold")}

LOADS = [f"random_{what}_4k_depth_{depth}" for what in ("read", "write")
         for depth in (1, 32, 128)] + ["sequential_read_128k", "sequential_write_128k"]
INTERRUPTS = ["handler", "eventfd", "futex", "poll", "handoff"]
RATIOS = {"handler_to_eventfd": ("handler", "eventfd"), "handler_to_futex": ("handler", "futex"),
          "poll_to_handoff": ("poll", "handoff")}
ACCESSES = ["direct_load", "plain_load", "direct_store", "plain_store", "trapped_load",
            "trapped_store", "mmio_read", "mmio_write", "step_over"]
ACCESS_RATIOS = {"direct_load_to_plain": ("direct_load", "plain_load"),
                 "direct_store_to_plain": ("direct_store", "plain_store"),
                 "trapped_load_to_floor": ("trapped_load", "step_over", "mmio_read"),
                 "trapped_store_to_floor": ("trapped_store", "step_over", "mmio_write")}
# The 60,000 of the default are those of the calls; maps are two processes' work each.
STARTUP = ["true", "empty", "linked", "list", "dextd_1", "dextd_256"]
VFIO_USER = ["vfio-user", "--rounds", "50", "--region-rounds", "5", "--live", "4000", "--dextd",
             DEXTD]
NVME = ["nvme", "--milliseconds", "5", "--dextd", DEXTD]


class Bench(toolstest.ToolTest):
    def test_every_figure_is_there(self):
        result = run("--json", "--rounds", "50", "--region-rounds", "5", "--dextd", DEXTD, "calls",
                     program=DEXTBENCH)
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"embedded", "dextd"})
        for host in figures.values():
            self.assertEqual(set(host), {*TIMES, *CALL_RATIOS, "threads_calls_per_s", "idle",
                                         "register_unregister", "register_ratio_last_first"})
            self.check_calls(host)
            rows = [*(host[name] for name in TIMES), *host["register_unregister"]]
            for row in rows:
                self.assertGreater(row["count"], 0)
                self.assertLessEqual(row["p50_us"], row["p99_us"])
            self.assertEqual([row["live"] for row in host["register_unregister"]],
                             [1, 1000, 60000])

    def check_calls(self, host):
        for ratio, (ours, floor) in CALL_RATIOS.items():
            self.assertAlmostEqual(host[ratio], host[ours]["p50_us"] / host[floor]["p50_us"],
                                   delta=0.01 + host[ratio] / 100)
        threads = host["threads_calls_per_s"]
        self.assertEqual(set(threads), {"one", "two", "four", "eight", "four_connections", "four_to_one"})
        self.assertGreater(min(threads.values()), 0)
        self.assertAlmostEqual(threads["four_to_one"], threads["four"] / threads["one"],
                               delta=0.01 + threads["four_to_one"] / 100)
        self.assertEqual(host["idle"]["connections"], 100)
        self.assertGreaterEqual(host["idle"]["host_cpu_percent"], 0)

    def test_every_data_figure_is_there(self):
        result = run("--json", "--rounds", "100", "--dextd", DEXTD, "data", program=DEXTBENCH)
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"embedded", "dextd"})
        for host in figures.values():
            self.assertEqual(set(host), {"data"})
            data = host["data"]
            self.assertEqual(set(data), {"copies", *ACCESSES, *ACCESS_RATIOS})
            self.assertEqual([(row["way"], row["bytes"]) for row in data["copies"]],
                             [(way, size) for way in ("to_device", "to_memory", "in_memory")
                              for size in (4096, 65536, 1 << 20, 16 << 20)])
            for row in data["copies"]:
                engine, floor = row["engine"]["p50_us"], row["memcpy"]["p50_us"]
                self.assertGreater(engine, 0)
                self.assertGreaterEqual(row["seen"]["p50_us"], engine)
                self.assertAlmostEqual(row["engine_to_memcpy"], floor / engine,
                                       delta=0.01 + row["engine_to_memcpy"] / 100)
            for row in (data[name] for name in ACCESSES):
                self.assertGreater(row["count"], 0)
                self.assertLessEqual(row["p50_us"], row["p99_us"])
            for ratio, (ours, *floors) in ACCESS_RATIOS.items():
                if "trapped" in ratio: # those of direct ones have too few digits
                    self.assertAlmostEqual(data[ratio], data[ours]["p50_us"] / sum(
                        data[floor]["p50_us"] for floor in floors), delta=0.01)

    def test_the_data_table(self):
        text = self.assert_fine(run("--rounds", "20", "--dextd", DEXTD, "data", program=DEXTBENCH))
        for line in ("load from a direct BAR", "SIGSEGV, to step over", "load against SIGSEGV"):
            self.assertEqual(text.count(line), 1, line)
        self.assertEqual(text.count("to_device, 4096 bytes"), 2)

    def test_every_dma_figure_is_there(self):
        result = run("--json", "dma", "--region-rounds", "5", "--dextd", DEXTD, program=DEXTBENCH)
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"embedded", "dextd"})
        for host in figures.values():
            self.assertEqual(set(host), {"dma"})
            self.assertEqual(set(host["dma"]), {"shared", "private"})
            # What the allocator takes; not one for each of 60,000 regions.
            self.assertLess(host["dma"]["shared"].pop("host_mappings"), 1000)
            self.assertGreater(host["dma"]["shared"].pop("host_bytes_per_region"), 0)
            for kind in host["dma"].values():
                self.assertEqual(set(kind), {"rows", "last_to_first"})
                self.assertEqual([row["live"] for row in kind["rows"]], [1, 1000, 60000])
                for row in kind["rows"]:
                    for name in ("ping_pong", "config_read", "batch_1", "batch_16", "batch_256"):
                        self.assertGreater(row[name]["count"], 0)
                        self.assertLessEqual(row[name]["p50_us"], row[name]["p99_us"])
                    self.assertAlmostEqual(row["batch_256_to_1"], row["batch_256"]["p50_us"]
                                           / row["batch_1"]["p50_us"], delta=0.01)

    def test_the_dma_table(self):
        text = self.assert_fine(run("dma", "--region-rounds", "2", "--dextd", DEXTD,
                                    program=DEXTBENCH))
        for line, times in (("DMA regions in a shared file", 1), ("60000 live", 2),
                            ("an entry of 256 ", 6), ("most live / 1 live", 2),
                            ("host's bytes a live region", 1)):
            self.assertEqual(text.count(line), times, line)

    def test_every_interrupt_figure_is_there(self):
        result = run("--json", "--rounds", "100", "--dextd", DEXTD, "interrupts", program=DEXTBENCH)
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"embedded", "dextd"})
        for host in figures.values():
            self.assertEqual(set(host), {"interrupts"})
            times = host["interrupts"]
            self.assertEqual(set(times), {*INTERRUPTS, *RATIOS})
            for row in (times[name] for name in INTERRUPTS):
                self.assertGreaterEqual(row["count"], 6)
                self.assertLessEqual(0, row["p50_us"])
                self.assertLessEqual(row["p50_us"], row["p99_us"])
                self.assertLessEqual(row["p99_us"], row["p99_9_us"])
                self.assertLess(row["p99_9_us"], 1e9)
            for ratio, (ours, floor) in RATIOS.items():
                self.assertAlmostEqual(times[ratio], times[ours]["p50_us"] / times[floor]["p50_us"],
                                       delta=0.01 + times[ratio] / 100)

    def test_the_interrupt_table_and_a_file_beside_it(self):
        with tempfile.TemporaryDirectory(prefix="dextbench-") as folder:
            path = os.path.join(folder, "figures.json")
            text = self.assert_fine(run("--rounds", "20", "--dextd", DEXTD, "--output", path,
                                        "interrupts", program=DEXTBENCH))
            with open(path, encoding="utf-8") as file:
                figures = json.load(file)
        for line in ("vector fires, to the handler", "eventfd wake beside it",
                     "futex wake beside it", "vector fires, to who polls", "p99.9  floor"):
            self.assertIn(line, text)
        for host in figures.values():
            for row in (host["interrupts"][name] for name in INTERRUPTS):
                shares, values = zip(*row["distribution"])
                self.assertEqual((shares[0], shares[-1]), (0, 100))
                self.assertEqual(list(shares), sorted(shares))
                self.assertEqual(list(values), sorted(values))
                by_share = dict(row["distribution"])
                self.assertEqual((by_share[50], by_share[99], by_share[99.9]),
                                 (row["p50_us"], row["p99_us"], row["p99_9_us"]))

    def test_a_yardstick_that_does_not_answer(self):
        with subprocess.Popen([DEXTBENCH, "--measure", "embedded", "--rounds", "10000000",
                               "interrupts"], env=toolstest.environment(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as bench:
            others = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
            there = toolstest.wait_until(lambda: len(others.read_text().split()) == 3)
            for pid in others.read_text().split() if there else [bench.pid]:
                os.kill(int(pid), signal.SIGKILL)
            out, err = bench.communicate(timeout=toolstest.SECONDS)
        self.assertTrue(there, "dextbench starts three processes")
        self.assertEqual((bench.returncode, out), (1, ""))
        self.assertEqual(err, "dextbench: the process that wakes this one does not answer\n")

    def test_a_file_that_cannot_be_written(self):
        result = run("--rounds", "1000", "--dextd", DEXTD, "--output", "/nonexistent/figures.json",
                     "startup", program=DEXTBENCH)
        self.assertEqual(result.status, 1)
        self.assertIn("/nonexistent/figures.json", result.err)

    def test_every_startup_figure_is_there(self):
        result = run("--json", "--rounds", "1000", "--dextd", DEXTD, "startup", program=DEXTBENCH)
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"startup"})
        times = figures["startup"]
        self.assertEqual(set(times), {*STARTUP, "library_us"})
        for row in (times[name] for name in STARTUP):
            self.assertEqual(row["count"], 2)
            self.assertLess(0, row["p50_us"])
            self.assertLessEqual(row["p50_us"], row["p99_us"])
        self.assertAlmostEqual(times["library_us"],
                               times["linked"]["p50_us"] - times["empty"]["p50_us"], delta=0.01)

    def test_the_startup_table(self):
        text = self.assert_fine(run("--rounds", "1", "--dextd", DEXTD, "startup", program=DEXTBENCH))
        for line in ("/bin/true", "the same with libappledext", "dextctl list, one device",
                     "dextd until it serves 256 devices", "what the library adds"):
            self.assertEqual(text.count(line), 1, line)
        self.assertNotIn("embedded", text)

    def test_every_nvme_figure_is_there(self):
        with tempfile.TemporaryDirectory(prefix="dextbench-") as folder:
            result = run("--json", *NVME, "--directory", folder, program=DEXTBENCH)
            self.assertEqual(os.listdir(folder), [])
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"embedded", "dextd"})
        for host in figures.values():
            self.assertEqual(set(host), {"nvme"})
            nvme = host["nvme"]
            self.assertEqual(set(nvme), {"rows", "io_uring_refusal", "has_direct", "copy_4k",
                                         "doorbell"})
            self.assertGreater(nvme["copy_4k"]["p50_us"], 0)
            self.assertGreater(nvme["doorbell"]["count"], 0)
            self.assertEqual([row["name"] for row in nvme["rows"]], LOADS)
            who = {"memory", "file", "plain"}
            if nvme["has_direct"]:
                who |= {"direct", "plain_direct"}
            if nvme["io_uring_refusal"] is None:
                who |= {"io_uring"} | ({"io_uring_direct"} if nvme["has_direct"] else set())
            for row in nvme["rows"]:
                self.check_load(row, who, nvme["copy_4k"]["p50_us"])

    def check_load(self, row, who, copy_us):
        ratios = {"file_to_plain": ("file", "plain"), "direct_to_plain": ("direct", "plain_direct")}
        ratios = {name: parts for name, parts in ratios.items() if parts[0] in who}
        self.assertEqual(set(row), {"name", "bytes", "depth", *ratios, *who})
        self.assertEqual(row["bytes"], 4096 if "4k" in row["name"] else 131072)
        for ratio, (ours, plain) in ratios.items():
            self.assertAlmostEqual(row[ratio], row[ours]["iops"] / row[plain]["iops"],
                                   delta=0.001 + row[ratio] / 1000)
        for name in who:
            figures = row[name]
            self.assertGreater(figures["iops_median"], 0)
            self.assertGreaterEqual(figures["iops"], figures["iops_median"])
            self.assertAlmostEqual(figures["mb_per_s"], figures["iops"] * row["bytes"] / 1e6,
                                   delta=0.1)
            self.assertEqual("p50_us" in figures, row["depth"] == 1)
            self.assertEqual("host_us" in figures, name in ("memory", "file", "direct"))
            both = figures.get("host_us", 0) + figures["client_us"]
            self.assertAlmostEqual(figures["iops_per_core"], 1e6 / both,
                                   delta=1 + figures["iops_per_core"] / 100)
            self.assertAlmostEqual(figures["to_copy"], both / (copy_us * row["bytes"] / 4096),
                                   delta=0.1 + figures["to_copy"] / 100)
            if "host_us" in figures:
                self.assertAlmostEqual(figures["host_iops_per_core"], 1e6 / figures["host_us"],
                                       delta=1 + figures["host_iops_per_core"] / 100)
                self.assertAlmostEqual(figures["host_to_copy"], figures["host_us"] / (
                    copy_us * row["bytes"] / 4096), delta=0.1 + figures["host_to_copy"] / 100)
            if row["depth"] == 1:
                self.assertGreater(figures["count"], 0)
                self.assertLessEqual(figures["p50_us"], figures["p99_us"])

    def test_the_nvme_table(self):
        text = self.assert_fine(run(*NVME, "--load", "depth_1", program=DEXTBENCH))
        for load in LOADS: # depth 1 and depth 128
            self.assertEqual(text.count(load + ","), 2 if "depth_1" in load else 0, load)
        self.assertNotIn("config read", text)
        self.assertEqual(text.count("to copy 4 KiB"), 2)

    def test_every_vfio_user_figure_is_there(self):
        result = run("--json", *VFIO_USER, program=DEXTBENCH)
        figures = json.loads(self.assert_fine(result))
        self.assertEqual(set(figures), {"embedded", "dextd"})
        for host in figures.values():
            self.assertEqual(set(host), {"vfio_user"})
            times = host["vfio_user"]
            names = ("region_read", "ping_pong", "region_read_together", "ping_pong_together",
                     "interrupt")
            self.assertEqual(set(times), {*names, "map_unmap"})
            rows = [times[name] for name in names]
            for row in [*rows, *times["map_unmap"]]:
                self.assertGreater(row["count"], 0)
                self.assertGreater(row["p50_us"], 0)
                self.assertLessEqual(row["p50_us"], row["p99_us"])
            self.assertEqual([row["live"] for row in times["map_unmap"]], [1, 1000, 4000])

    def test_a_server_that_is_not_there(self):
        result = run("--measure", "embedded", "vfio-user", "--server", "/nonexistent/server",
                     program=DEXTBENCH)
        self.assertEqual((result.status, result.out), (1, ""))
        self.assertIn("cannot run /nonexistent/server: No such file", result.err)

    def test_no_place_for_the_file(self):
        result = run("--measure", "embedded", "nvme", "--directory", "/nonexistent",
                     program=DEXTBENCH)
        self.assertEqual((result.status, result.out), (1, ""))
        self.assertIn("cannot make a file of 128 MiB in /nonexistent: No such file", result.err)

    def test_wrong_command_lines(self):
        for arguments in (("--rounds", "0"), ("--rounds", "x"), ("--region-rounds", "-1"),
                          ("--live", "0"), ("--milliseconds", "0"), ("--load", "erase"),
                          ("nvme", "stray"), ("stray",)):
            self.assert_fails(run(*arguments, program=DEXTBENCH), 2, "dextbench: ", arguments[-1])

    def test_a_dextd_that_is_not_there(self):
        result = run("--measure", "dextd", "--dextd", "/nonexistent/dextd", program=DEXTBENCH)
        self.assertEqual((result.status, result.out), (1, ""))
        self.assertIn("cannot run /nonexistent/dextd: No such file", result.err)


if __name__ == "__main__":
    toolstest.main()

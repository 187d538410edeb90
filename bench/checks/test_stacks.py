"""Tests of how perf's stacks are sorted into stages."""

import unittest

from ..harness import stacks

SCRIPT = """\
lane-0 
\t    1 __memmove_avx512
\t    2 weir_decode::json::reader::Reader::value
\t    3 weir_runtime::engine::lanes::lane::Lane::run

lane-0 
\t    1 _int_free (inlined)
\t    2 weir_source::kafka::lane::LaneInput::poll

rdk:broker1 
\t    1 LZ4_decompress_safe

main thread 
\t    1 main

"""


class Stacks(unittest.TestCase):
    def test_a_sample_is_its_innermost_known_frames(self):
        samples = list(stacks.of_script(SCRIPT))
        self.assertEqual([stacks.stage(*sample) for sample in samples], ["decode", "take over", "consume", "other"])
        self.assertEqual({stage: share for stage, share in stacks.shares(samples).items() if share}, dict.fromkeys(
            ["consume", "decode", "take over", "other"], 0.25
        ))

    def test_stacks_are_folded_from_the_outermost_frame_on_and_counted(self):
        samples = list(stacks.of_script(SCRIPT)) * 2
        self.assertIn("lane-0;weir_source::kafka::lane::LaneInput::poll;_int_free 2\n", stacks.folded(samples))


if __name__ == "__main__":
    unittest.main()

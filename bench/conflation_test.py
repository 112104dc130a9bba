"""What the dashboard's benchmark calls right and wrong."""

import json
import unittest

import conflation


def fold(*messages: dict) -> tuple:
    texts = tuple(json.dumps(message).encode() for message in messages)
    return conflation.folded(texts, {text: json.loads(text) for text in texts})


BEGIN = {"type": "subscribed", "snapshot": {"seq": 3, "data": {"a": 1, "b": {"c": 2}}}}


class Folding(unittest.TestCase):
    def test_a_merged_delivery_follows_what_it_stands_for(self):
        seq, state = fold(BEGIN, {"type": "message", "first_seq": 4, "seq": 9, "merge": {"a": None, "b": {"d": 5}}})
        self.assertEqual((seq, state), (9, {"b": {"c": 2, "d": 5}}))

    def test_a_snapshot_is_a_new_beginning(self):
        self.assertEqual(fold(BEGIN, {"type": "snapshot", "seq": 20, "data": 7}, {"type": "message", "seq": 21, "data": 8}), (21, 8))

    def test_a_hole_is_noticed(self):
        for first in (5, 3):
            with self.assertRaises(AssertionError):
                fold(BEGIN, {"type": "message", "first_seq": first, "seq": 9, "merge": {}})


if __name__ == "__main__":
    unittest.main()

"""SimpleTokenizer as openai/CLIP and open_clip have it, transcribed plainly: the other side of the parity tests.

It shares nothing with the library: its own byte table, its own merging in Python, `re.findall` with its own pattern.
"""

import html
import itertools
import string

import ftfy
import regex as re


def bytes_to_unicode():
    seen = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    shown = seen[:]
    for byte in range(256):
        if byte not in seen:
            seen.append(byte)
            shown.append(256 + len(shown) - 188)
    return {byte: chr(code) for byte, code in zip(seen, shown, strict=True)}


def basic_clean(text):
    text = ftfy.fix_text(text)
    text = html.unescape(html.unescape(text))
    return text.strip()


def whitespace_clean(text):
    return re.sub(r"\s+", " ", text).strip()


def canonicalize_text(text):
    text = text.replace("_", " ").translate(str.maketrans("", "", string.punctuation)).lower()
    return re.sub(r"\s+", " ", text).strip()


CLEAN = {
    "lower": lambda text: whitespace_clean(basic_clean(text)).lower(),
    "whitespace": lambda text: whitespace_clean(basic_clean(text)),
    "canonicalize": lambda text: canonicalize_text(basic_clean(text)),
    "whitespace_underscore": lambda text: whitespace_clean(basic_clean(text).replace("_", " ")),
}


class SimpleTokenizer:
    def __init__(self, merges, special_tokens, clean="lower"):
        self.byte_encoder = bytes_to_unicode()
        vocab = list(self.byte_encoder.values())
        vocab += [v + "</w>" for v in vocab]
        vocab += dict.fromkeys("".join(merge) for merge in merges)
        vocab += special_tokens
        self.encoder = {token: i for i, token in enumerate(vocab)}
        self.ranks = {merge: i for i, merge in enumerate(merges)}
        self.special = special_tokens
        names = "|".join(re.escape(token) for token in special_tokens)
        self.pat = re.compile(
            names + r"|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", re.IGNORECASE
        )
        self.clean = CLEAN[clean]

    def bpe(self, token):
        if token in self.special:
            return [token]
        word = [*token[:-1], token[-1] + "</w>"]
        while len(word) > 1:
            first, second = min(
                itertools.pairwise(word), key=lambda pair: self.ranks.get(pair, float("inf"))
            )
            if (first, second) not in self.ranks:
                break
            merged, i = [], 0
            while i < len(word):
                if word[i : i + 2] == [first, second]:
                    merged.append(first + second)
                    i += 2
                else:
                    merged.append(word[i])
                    i += 1
            word = merged
        return word

    def __call__(self, text, context_length=77):
        """The ids before the zeros that fill up."""
        ids = []
        for token in re.findall(self.pat, self.clean(text)):
            letters = "".join(self.byte_encoder[b] for b in token.encode("utf-8"))
            ids += [self.encoder[part] for part in self.bpe(letters)]
        start, end = (self.encoder[token] for token in self.special)
        ids = [start, *ids, end]
        if len(ids) > context_length:
            ids = [*ids[: context_length - 1], end]
        return ids

"""`llark chat`: a conversation about a recording, at a terminal or from Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llark.errors import BadAudio, UserMustAct
from llark.generate.answers import Conversation, Stretch
from llark.generate.talker import Talker
from llark.music.mentions import by_sort, mentions
from llark.options import TalkerOptions, require_text
from llark.pipeline import listen
from llark.records import Track, to_dict
from llark.report import terminal
from llark.report import text as show
from llark.report.timeline import clock

HELP = """\
/facts           what was measured
/at 1:00 1:30    talk about this part; /at alone: about the whole again
/load SONG       another recording
/save FILE.json  the conversation and the facts
/quit            the end (or Ctrl-D)"""


@dataclass(frozen=True)
class ChatTurn:
    """What was said, and the answer."""

    question: str
    answer: str


class Chat:
    """A conversation about a recording, which is listened to once. Raises `BadAudio` for one that cannot be
    read."""

    def __init__(self, song: Path | str, talker: TalkerOptions | None = None) -> None:
        self._talker = Talker.of(talker)
        self.turns: list[ChatTurn] = []
        self._load(Path(song))

    def _load(self, song: Path) -> None:
        facts = listen.to_recording(Track(song.stem, str(song)), progress="listen").facts
        self.song, self.conversation = song, Conversation(facts)

    def ask(self, question: str) -> str:
        """The answer to a question, which may refer to those before it. Raises `UserMustAct` for one
        that is too long or no text."""
        require_text(question)
        solution = self.conversation.ask(question)
        if self._talker is not None:
            solution = self._talker.word(question, solution, self.conversation.facts)
        self.turns.append(ChatTurn(question, solution.text))
        return solution.text

    def type(self, line: str) -> str:
        """What is shown where somebody types a line: a question, or a command that begins with a slash.

        Raises `UserMustAct` or `BadAudio`, after which the conversation goes on as it was.
        """
        line = line.strip()
        command, _, rest = line.partition(" ")
        commands = {"/help": self._help, "/facts": self._facts, "/at": self._at, "/load": self._open}
        commands["/save"] = self._save
        if line.startswith("/"):
            if command not in commands:
                raise UserMustAct(f"There is no {command}. What there is:\n{HELP}")
            return commands[command](rest.strip())
        return self.ask(line) if line else ""

    def _help(self, rest: str) -> str:
        return HELP

    def _facts(self, rest: str) -> str:
        return show.facts_as_text(str(self.song), self.conversation.facts)

    def _at(self, rest: str) -> str:
        seconds = self.conversation.facts.end_seconds - self.conversation.facts.start_seconds
        times = [float(value) for value in by_sort(mentions(rest)).get("seconds", ())]
        if not rest:
            self.conversation.stretch = None
            return "From here on about the whole recording."
        if not times or times[0] >= seconds:
            raise UserMustAct(f"/at takes times such as 1:00 1:30, up to {clock(seconds)}.")
        end = min(times[1], seconds) if len(times) > 1 else seconds
        if end <= times[0]:
            raise UserMustAct("The part ends before it begins.")
        self.conversation.stretch = Stretch(times[0], end)
        return f"From here on about {clock(times[0])} to {clock(end)}."

    def _open(self, rest: str) -> str:
        if not rest:
            raise UserMustAct("/load takes a recording: /load song.mp3")
        self._load(Path(rest).expanduser())
        return f"{self.song}: {clock(self.conversation.facts.end_seconds)} long."

    def _save(self, rest: str) -> str:
        if not rest.endswith(".json"):  # what else is there may be a recording
            raise UserMustAct("/save takes a file that ends in .json: /save talk.json")
        page: dict[str, Any] = {"audio": str(self.song), "turns": [asdict(turn) for turn in self.turns]}
        page["facts"] = to_dict(self.conversation.facts)
        path = Path(rest).expanduser()
        try:
            path.write_text(terminal.printable_json(page, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserMustAct(f"{path} cannot be written: {error.strerror or error}.") from error
        return f"{len(self.turns)} turns are in {path}."


def talk(chat: Chat) -> None:
    """Reads lines from the terminal and prints the answers, to the end of input, /quit or Ctrl-C."""
    with suppress(ImportError):
        import readline  # noqa: F401  # line editing and history, where the platform has it

    terminal.show(f"{chat.song}. Ask; /help lists commands, /quit ends.")
    for line in _lines():
        if line.strip() in ("/quit", "/exit"):
            return
        try:
            answer = chat.type(line)
        except (UserMustAct, BadAudio) as error:
            answer = str(error)
        if answer:
            terminal.show(f"{answer}\n")


def _lines() -> Iterator[str]:
    """What is typed, line by line, to the end of input or Ctrl-C."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="surrogateescape")  # `Chat.ask` says what is wrong with such a line
    prompt = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            yield input(prompt)
        except (EOFError, KeyboardInterrupt):
            terminal.show("")
            return

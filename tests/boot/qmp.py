"""A small QMP client for tests: one JSON object a line. The members of an object tell whether it is an answer or an event."""
import json

from connect import connect


class Qmp:
    succeeded = set()  # the names of all commands that have returned something, in any session

    def __init__(self, path, seconds=30, negotiate=True):
        self.socket = connect(path, seconds)
        self.file = self.socket.makefile("r", encoding="utf-8", newline="\n")
        self.events = []
        self.greeting = self.receive()
        if negotiate:
            self.run("qmp_capabilities")

    def receive(self):
        line = self.file.readline()
        if not line:
            raise EOFError("the session has ended")
        return json.loads(line)

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def answer(self):
        while True:
            message = self.receive()
            if "event" not in message:
                return message
            self.events.append(message)

    def ask(self, command, **arguments):
        message = {"execute": command}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.send(json.dumps(message) + "\n")
        answer = self.answer()
        if "return" in answer:
            self.succeeded.add(command)
        return answer

    def run(self, command, **arguments):
        answer = self.ask(command, **arguments)
        if "error" in answer:
            raise RuntimeError("%s: %s" % (command, answer["error"]["desc"]))
        return answer["return"]

    def event(self, name):
        """The next event of that name; earlier ones are dropped."""
        while True:
            message = self.events.pop(0) if self.events else self.receive()
            if message.get("event") == name:
                return message

    def close(self):
        self.file.close()
        self.socket.close()

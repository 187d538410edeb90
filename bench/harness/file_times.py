"""When the files of a folder were written, including files that are deleted soon after: a thread looks while something
else runs."""

import os
import threading
import time

LOOK_EVERY_SECONDS = 0.004


class FileTimes:
    """`with FileTimes(dir) as times:` fills `times.ns`, by name, with the modification time in nanoseconds."""

    def __init__(self, dir):
        self.dir, self.ns = dir, {}

    def __enter__(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.look()

    def watch(self):
        while not self.over.is_set():
            self.look()
            time.sleep(LOOK_EVERY_SECONDS)

    def look(self):
        try:
            # A kernel whose file times have only a tick's precision gives more precise ones after a file time was read.
            os.stat(self.dir)
            for entry in os.scandir(self.dir):
                if entry.name not in self.ns:
                    self.ns[entry.name] = entry.stat().st_mtime_ns
        except FileNotFoundError:
            # The folder does not exist yet, or a file was deleted while the thread looked at it.
            pass

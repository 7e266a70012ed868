"""One training run.

`loop` trains; `feed` gives it batches of what `reading` has read. What a run leaves lies in its `folder`: `log`, checkpoints
and the `album` of its pictures; a `lock` keeps other processes out. `resume` goes on with a run, `rehearsal` says beforehand
what one will cost, `progress` how far it has come, with its `telling` numbers and a `forecast`, and `environment` what it was
made with. `tensorboard` writes what is recorded once more. `contents` reads a run's folder for the `page` that reports on it.
"""

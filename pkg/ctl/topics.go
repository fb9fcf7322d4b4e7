package ctl

import "github.com/spf13/cobra"

// outputTopic is help about what commands write. It cannot be run.
func outputTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "output",
		Short: "What commands write, as text and as JSON lines",
		Long: `Results go to stdout. Progress, notices and errors go to stderr.

Progress is shown by import, status --watch and verify. The time in brackets is that since the
import was accepted, whoever watches it. "12.3M of ~50.0M objects" are the keys that were listed,
and an estimate of all; it is left out until there is one worth telling. Keys are stored once their
range is. --progress chooses the style:

  tty    one line, redrawn each second; what has no room in the width of the terminal is left out
  plain  a line at the first sign of progress, when the state changes, and every 10 seconds
  json   a line of JSON at the first sign of progress, when the state changes, and each second
  none   nothing
  auto   tty on a terminal, unless TERM is dumb; else json with --output json, and plain without

Lines go on while the coordinator does not answer, and say for how long there was no answer. Such a
line is yellow, unless NO_COLOR is set. --quiet leaves out notices, too.

With --output json each line is a JSON object, on stdout and on stderr, so that both may go into
one file; only the line that a terminal redraws is text. With --progress json that holds for stderr
only. The field message_type tells what the other fields are:

  status   stderr   how far the import, or the verification, is
           stdout   the same, of rangectl status for an import that has not ended
  summary  stdout   how it ended; what was counted
  notice   stderr   message; of an import also id, and the commands watch and cancel
  error    stderr   code (the exit code), message, and often hint: what to do about it
  others   stdout   a result: import, repository, branch, commit, object, user, access_key,
                    session, range, difference, check, source, file

Of an import, status and summary have the fields of its status in the API, those of its progress
among them: listed_objects, estimated_objects (with _low and _high), objects_per_second,
elapsed_seconds, remaining_seconds, workers, throttles, retries and others. problem says what keeps
it from making progress.

The last line before every exit code but 0 is an error. Numbers are exact: text shortens sizes,
and counts that change. Times are RFC 3339 in UTC, and durations are in seconds, in fields whose
names end in _seconds. Fields that are not known are left out. New fields and new kinds of
messages may be added.`,
	}
}

package ctl

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// show writes one result: as a line of JSON of a kind, or as text does.
func show[R any](a *app, as kind, result R, text func(io.Writer, R) error) error {
	var err error
	if a.output == "json" {
		err = writeLine(a.sys.Out, as, asJSON(result))
	} else {
		err = text(a.sys.Out, result)
	}
	if err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// showLine is show for a result whose text is one line.
func showLine(a *app, as kind, result any, format string, args ...any) error {
	return show(a, as, result, func(w io.Writer, _ any) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

// showAll shows results one by one, as they come.
func showAll[R any](a *app, as kind, results iter.Seq2[R, error], text func(io.Writer, R) error) error {
	for result, err := range results {
		if err != nil {
			return err
		}
		if err := show(a, as, result, text); err != nil {
			return err
		}
	}
	return nil
}

// row is a line of a sheet: a label and its text.
type row struct{ label, text string }

// sheet writes a title, and rows with their texts in one column. Rows without a
// text are left out.
func sheet(w io.Writer, title string, rows ...row) error {
	var b strings.Builder
	b.WriteString(printable(title) + "\n")
	widest := 0
	for _, r := range rows {
		widest = max(widest, len(r.label))
	}
	for _, r := range rows {
		if r.text != "" {
			fmt.Fprintf(&b, "  %-*s  %s\n", widest, r.label, printable(r.text))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable returns s with everything escaped that could move the cursor of a terminal or
// pass for something else: keys, messages and errors are not ours to trust.
func printable(s string) string {
	if !strings.ContainsFunc(s, hostile) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hostile(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hostile reports whether a rune must not reach a terminal. A caller that wants to keep
// newlines splits its text into lines first.
func hostile(r rune) bool { return !unicode.IsPrint(r) }

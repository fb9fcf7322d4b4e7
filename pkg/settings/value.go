package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rangefleet/rangefleet/pkg/redact"
)

// A value is one field of Settings, which is parsed from text and printed as text. Set can
// parse what String returns, unless it is a secret's.
type value interface {
	Set(text string) error
	String() string
	Type() string // a word for help and docs
}

// field is the value of a field with functions to parse and to print it.
type field[T any] struct {
	at    *T
	word  string
	parse func(string) (T, error)
	print func(T) string
}

func (f field[T]) Set(text string) error {
	v, err := f.parse(text)
	if err != nil {
		return err
	}
	*f.at = v
	return nil
}

func (f field[T]) String() string { return f.print(*f.at) }
func (f field[T]) Type() string   { return f.word }

// parsing returns a parser whose errors say what is wanted: "want true or false" helps an
// operator, "strconv.ParseBool: parsing ..." does not.
func parsing[T any](parse func(string) (T, error), want string) func(string) (T, error) {
	return func(s string) (T, error) {
		v, err := parse(s)
		if err != nil {
			return v, errors.New("want " + want)
		}
		return v, nil
	}
}

func same(s string) string              { return s }
func verbatim(s string) (string, error) { return s, nil }

// text is any text. What URLs in it prove by their login or query is not printed.
func text(at *string) value { return field[string]{at, "string", verbatim, redact.URLs} }

// server is one URL or several, separated by commas, whose user and password, or token, are
// not printed.
func server(at *string) value { return field[string]{at, "url", verbatim, hideUser} }

var userinfo = regexp.MustCompile(`(^|,|//)[^/,]*@`) // NATS takes URLs without a scheme too

func hideUser(url string) string { return userinfo.ReplaceAllString(url, "${1}"+hidden+"@") }

func number(at *int) value {
	return field[int]{at, "int", parsing(strconv.Atoi, "a whole number"), strconv.Itoa}
}

func boolean(at *bool) value {
	return field[bool]{at, "bool", parsing(strconv.ParseBool, "true or false"), strconv.FormatBool}
}

func duration(at *time.Duration) value {
	return field[time.Duration]{
		at, "duration",
		parsing(time.ParseDuration, "a duration such as 30s or 2m"), time.Duration.String,
	}
}

func count(at *uint64) value {
	parse := func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }
	show := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return field[uint64]{at, "int", parsing(parse, "a whole number that is not negative"), show}
}

// size is a number of bytes, with or without a binary unit.
func size(at *uint64) value {
	return field[uint64]{at, "size", parsing(parseSize, "a number of bytes such as 1048576 or 1MiB"), showSize}
}

var units = []struct {
	suffix string
	shift  uint
}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"", 0}}

func parseSize(s string) (uint64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 64)
		if err == nil && n<<u.shift>>u.shift != n {
			err = strconv.ErrRange
		}
		return n << u.shift, err
	}
	return 0, strconv.ErrSyntax
}

// showSize uses the largest unit that divides the size.
func showSize(n uint64) string {
	for _, u := range units {
		if m := n >> u.shift; m > 0 && m<<u.shift == n {
			return strconv.FormatUint(m, 10) + u.suffix
		}
	}
	return "0"
}

func level(at *slog.Level) value {
	parse := func(s string) (l slog.Level, err error) { err = l.UnmarshalText([]byte(s)); return }
	show := func(l slog.Level) string { return strings.ToLower(l.String()) }
	return field[slog.Level]{at, "string", parsing(parse, "debug, info, warn or error"), show}
}

func choice(at *string, of ...string) value {
	parse := func(s string) (string, error) {
		if !slices.Contains(of, s) {
			return s, fmt.Errorf("want one of %s", strings.Join(of, ", "))
		}
		return s, nil
	}
	return field[string]{at, "string", parse, same}
}

// address is host:port; the host may be empty, and port 0 is any free one.
func address(at *string) value {
	parse := func(s string) (string, error) {
		if s == "" {
			return s, nil
		}
		_, port, err := net.SplitHostPort(s)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		return s, err
	}
	return field[string]{at, "host:port", parsing(parse, "host:port with a port of 0 to 65535"), same}
}

func secret(at *Secret) value {
	parse := func(s string) (Secret, error) {
		if s == hidden {
			return Secret{}, errors.New("this is what is printed for a secret, not a secret")
		}
		return NewSecret(s), nil
	}
	return field[Secret]{at, "secret", parse, Secret.String}
}

// A sequence is a value that a YAML file has as a sequence.
type sequence interface {
	value
	setNode(n *yaml.Node) error
	node() *yaml.Node
}

// list is a list of strings: separated by commas in a flag or in the environment, a sequence
// in a file.
type list struct{ at *[]string }

func (l list) Set(text string) error {
	l.setItems(strings.Split(text, ","))
	return nil
}

func (l list) setItems(items []string) {
	*l.at = nil
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			*l.at = append(*l.at, item)
		}
	}
}

func (l list) setNode(n *yaml.Node) error {
	items, err := scalars(n)
	if err == nil {
		l.setItems(items)
	}
	return err
}

func (l list) node() *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, item := range *l.at {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: item})
	}
	return n
}

func (l list) String() string { return strings.Join(*l.at, ",") }
func (l list) Type() string   { return "list" }

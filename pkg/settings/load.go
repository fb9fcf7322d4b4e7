package settings

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// AddFlags adds --config and a flag for every key that the process uses.
func AddFlags(flags *pflag.FlagSet, p Process) {
	flags.String(configFlag, "", "YAML `file` of settings (environment "+configEnv+")")
	shown := defaults(nil, 0)
	for _, k := range keys {
		if k.usedBy&p == 0 {
			continue
		}
		v := k.value(&shown)
		f := &flagText{word: v.Type(), text: v.String()}
		usage := k.usage
		if k.computed != "" {
			f.text = ""
			usage += " (default " + strings.ReplaceAll(k.computed, "`", "") + ")"
		}
		if f.word == "secret" {
			usage += "; other users of the machine can see flags: prefer " + k.env()
		}
		added := flags.VarPF(f, k.name, "", usage)
		if f.word == "bool" {
			added.NoOptDefVal = "true"
		}
	}
	for was, is := range renamed {
		if k, ok := lookup(is); ok && k.usedBy&p != 0 {
			flags.VarPF(&flagText{word: "string"}, was, "", "").Hidden = true
		}
	}
}

// flagText stores the text of a flag until Load parses it, so that wrong values are
// reported together with those of the file.
type flagText struct {
	word, text string
	given      bool
}

func (f *flagText) Set(text string) error {
	if f.given && f.word == "list" {
		text = f.text + "," + text
	}
	f.text, f.given = text, true
	return nil
}
func (f *flagText) String() string { return f.text }
func (f *flagText) Type() string   { return f.word }

// Load returns the settings of a process from its parsed flags (see AddFlags), its
// environment (as os.Environ returns it) and the file that one of those names. The error
// lists everything that is wrong: unknown keys, values that cannot be parsed, and what
// validate returns. With an error the settings are invalid.
func Load(p Process, flags *pflag.FlagSet, environ []string) (Settings, error) {
	env := environment(environ)
	l := loader{into: defaults(env, runtime.GOMAXPROCS(0))}
	l.into.origins = make(map[string]string)
	path := env[configEnv]
	if f, err := flags.GetString(configFlag); err == nil && f != "" {
		path = f
	}
	if l.into.file = path; path != "" {
		l.file(path)
	}
	l.environment(env)
	l.flags(flags)
	if !l.unread { // else it is unknown what is set
		l.faults = append(l.faults, l.into.validate(p))
	}
	return l.into, errors.Join(l.faults...)
}

// loader applies one source of settings after another, and collects the faults.
type loader struct {
	into   Settings
	faults []error
	unread bool // there is a file, and it cannot be read
}

func (l *loader) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Errorf(format, args...))
}

// set sets a key by calling set with its value. The fault quotes the text, except that of a
// secret.
func (l *loader) set(k key, origin, text string, set func(value) error) {
	v := k.value(&l.into)
	err := set(v)
	switch {
	case err == nil:
		l.into.origins[k.name] = origin
	case v.Type() == "secret":
		l.fault("%s (%s): %w", k.name, origin, err)
	default:
		l.fault("%s (%s): %q: %w", k.name, origin, text, err)
	}
}

func (l *loader) setText(k key, origin, text string) {
	l.set(k, origin, text, func(v value) error { return v.Set(text) })
}

func (l *loader) file(path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		l.fault("reading the settings: %w", err)
		l.unread = true
		return
	}
	l.yaml(path, content)
}

// environment applies the variables. An empty variable counts as not set: that is how a
// compose file passes on a variable that its user did not set.
func (l *loader) environment(env map[string]string) {
	names := []string{configEnv}
	for _, k := range keys {
		names = append(names, k.env())
		if text := env[k.env()]; text != "" {
			l.setText(k, "environment "+k.env(), text)
		}
	}
	old := make(map[string]string)
	for was, is := range renamed {
		old[key{name: was}.env()] = key{name: is}.env()
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if is := old[name]; is != "" {
			l.fault("environment %s has a new name: %s", name, is)
			continue
		}
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(names, name) && !serviceLink(name, env) {
			l.fault("environment %s: unknown variable%s", name, didYouMean(name, names))
		}
	}
}

func (l *loader) flags(flags *pflag.FlagSet) {
	flags.Visit(func(f *pflag.Flag) {
		if is := renamed[f.Name]; is != "" {
			l.fault("flag --%s has a new name: --%s", f.Name, is)
		}
		if k, ok := lookup(f.Name); ok {
			l.setText(k, "flag --"+f.Name, f.Value.String())
		}
	})
}

// environment returns the variables by name. Of several with the same name the last counts.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, e := range environ {
		name, text, _ := strings.Cut(e, "=")
		env[name] = text
	}
	return env
}

// links are the variables that Kubernetes sets in every pod for the services of its
// namespace. For a service called rangefleet they have our prefix.
var links = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

func serviceLink(name string, env map[string]string) bool {
	return env["KUBERNETES_SERVICE_HOST"] != "" && links.MatchString(name)
}

// didYouMean asks whether the one of names with the fewest edits to name was meant. It is ""
// if none is near enough.
func didYouMean(name string, names []string) string {
	best, least := "", min(len(name)/2, 3)+1
	for _, n := range names {
		if d := edits(name, n); d < least {
			best, least = "; did you mean "+n+"?", d
		}
	}
	return best
}

// edits returns the number of bytes to insert, delete or change to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

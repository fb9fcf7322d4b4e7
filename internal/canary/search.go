package canary

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Found is a secret in an output.
type Found struct {
	Form string // in which the secret was written
	Line string // with the secret replaced
}

// Result is what Check has looked at.
type Result struct {
	Secrets int
	Bytes   int64 // of output
	Found   []Found
}

// maxFound bounds what Check returns.
const maxFound = 20

// Check looks for the secrets of a directory in the outputs there, in any form in which text is
// usually encoded, and for what has the form of a secret. It is an error if there is nothing to
// look for, or nothing to look at.
func Check(dir string) (r Result, err error) {
	text, err := os.ReadFile(filepath.Join(dir, secretsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	forms := make(forms)
	for secret := range strings.Lines(string(text)) {
		if forms.add(strings.TrimSuffix(secret, "\n")) {
			r.Secrets++
		}
	}
	outputs, err := filepath.Glob(filepath.Join(dir, outputPrefix+"*"))
	if err != nil {
		return r, err
	}
	for _, name := range outputs {
		file, err := os.Open(name)
		if err != nil {
			return r, err
		}
		lines := bufio.NewReader(file)
		for err == nil {
			var line []byte
			line, err = lines.ReadBytes('\n')
			r.Bytes += int64(len(line))
			if f, ok := forms.find(line); ok && len(r.Found) < maxFound {
				r.Found = append(r.Found, f)
			}
		}
		if err := file.Close(); err != nil {
			return r, err
		}
	}
	if r.Secrets == 0 || r.Bytes == 0 {
		return r, fmt.Errorf("%d secrets and %d bytes of output: the suites are not watched", r.Secrets, r.Bytes)
	}
	return r, nil
}

// forms are the texts that a secret becomes, by their first bytes.
type forms map[[indexed]byte][]form

type form struct{ text, name string }

// indexed is less than the length of every form.
const indexed = 8

// add adds a secret, and reports whether it is new.
func (f forms) add(secret string) bool {
	if len(secret) < shortest || !f.put(form{secret, "text"}) {
		return false
	}
	f.put(form{url.QueryEscape(secret), "query"})
	f.put(form{hex.EncodeToString([]byte(secret)), "hex"})
	for skip := range 3 { // of the three bytes that four characters encode, the secret begins at one
		padded := []byte(strings.Repeat("x", skip) + secret)
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			const lead = 4 // characters that depend on what is before, or after
			if text := enc.EncodeToString(padded); len(text) > 2*lead+indexed {
				f.put(form{text[lead : len(text)-lead], name})
			}
		}
	}
	return true
}

func (f forms) put(added form) bool {
	key := [indexed]byte([]byte(added.text))
	for _, old := range f[key] {
		if old.text == added.text {
			return false
		}
	}
	f[key] = append(f[key], added)
	return true
}

// shapes match what has the form of a secret, whether it was planted or not.
var shapes = map[string]*regexp.Regexp{
	"JSON Web Token":       regexp.MustCompile(`eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}`),
	"Authorization header": regexp.MustCompile(`(?i)\b(Basic [A-Za-z0-9+/]{16,}={0,2}|Bearer [\w.~+/-]{16,})`),
	"presigned URL":        regexp.MustCompile(`X-Amz-(Signature|Security-Token)=[\w%-]{16,}`),
	"SAML response":        regexp.MustCompile(`SAMLResponse=[\w%+/-]{16,}`),
	"session cookie":       regexp.MustCompile(`(internal|oidc|saml)_auth_session=[\w-]{16,}`),
	"password of a URL":    regexp.MustCompile(`://[^/@\s":*]*:[^/@\s"*]+@`),
}

// clues are what a line of such a form has at least.
var clues = []string{"eyJ", "asic ", "earer ", "X-Amz-S", "SAMLResponse", "_auth_session", "@"}

func (f forms) find(line []byte) (Found, bool) {
	for i := 0; i+indexed <= len(line); i++ {
		for _, c := range f[[indexed]byte(line[i:])] {
			if bytes.HasPrefix(line[i:], []byte(c.text)) {
				return Found{c.name, shown(line, c.text)}, true
			}
		}
	}
	for _, clue := range clues {
		if !bytes.Contains(line, []byte(clue)) {
			continue
		}
		for name, shape := range shapes {
			if m := shape.Find(line); m != nil {
				return Found{name, shown(line, string(m))}, true
			}
		}
	}
	return Found{}, false
}

// shown returns the beginning of a line without a secret.
func shown(line []byte, secret string) string {
	const most = 400
	text := strings.ReplaceAll(strings.TrimSpace(string(line)), secret, "<SECRET>")
	return text[:min(len(text), most)]
}

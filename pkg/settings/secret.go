package settings

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is printed for every secret.
const hidden = "******"

// Secret is a text that is not printed: not by fmt with any verb, nor by slog, nor by an
// encoder. Only Reveal returns it.
type Secret struct{ text string }

// NewSecret returns text as a secret.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text.
func (s Secret) Reveal() string { return s.text }

// String returns six asterisks, or nothing if there is no secret.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return hidden
}

// Format prints String for every verb. Without it fmt would print the field itself for
// verbs that do not suit a string.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is what slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is what encoders write.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

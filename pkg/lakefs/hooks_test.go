package lakefs

import "testing"

func TestRunsBeforeCommit(t *testing.T) {
	for text, want := range map[string]bool{
		"name: a\non:\n  pre-merge:\n  post-commit:\n":                false,
		"name: a\non:\n  pre-commit:\n":                               true,
		"name: a\non:\n  pre-commit: {}\n":                            true,
		"name: a\non:\n  pre-commit:\n    branches: [main]\n":         true,
		"name: a\non:\n  pre-commit:\n    branches: ['ma*', other]\n": true,
		"name: a\non:\n  pre-commit:\n    branches: [other, 'x*']\n":  false,
		"name: a\non:\n  pre-commit:\n    branches: ['[']\n":          true, // it cannot be told
		"\tno YAML": true,
		"":          false,
	} {
		if got := runsBeforeCommit([]byte(text), "main"); got != want {
			t.Errorf("runsBeforeCommit(%q) = %v, want %v", text, got, want)
		}
	}
}

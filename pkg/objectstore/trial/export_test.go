package trial

import "math/rand/v2"

// SmallPage is smallPage.
const SmallPage = smallPage

// Answer is an answer of a store.
type Answer = answer

// Loses is loses.
func (c Contradiction) Loses() bool { return c.loses() }

// Judge is judge.
func (w *Walk) Judge(after string, got Answer) (Contradiction, bool) { return w.judge(after, got) }

// Starts is starts.
func (w *Walk) Starts(r *rand.Rand, n int) []Start { return w.starts(r, n) }

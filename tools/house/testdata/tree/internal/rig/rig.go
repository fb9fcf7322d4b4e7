// Package rig has a type that reaches too many methods by embedding.
package rig

// Base has twelve methods.
type Base struct{}

func (Base) a() {}
func (Base) b() {}
func (Base) c() {}
func (Base) d() {}
func (Base) e() {}
func (Base) f() {}
func (Base) g() {}
func (Base) h() {}
func (Base) i() {}
func (Base) j() {}
func (Base) k() {}
func (Base) l() {}

// Crowded has nine more.
type Crowded struct{ Base }

func (Crowded) m() {}
func (Crowded) n() {}
func (Crowded) o() {}
func (Crowded) p() {}
func (Crowded) q() {}
func (Crowded) r() {}
func (Crowded) s() {}
func (Crowded) t() {}
func (Crowded) u() {}

// Named has the same nine, and a field with a name.
type Named struct{ base Base }

func (Named) m() {}
func (Named) n() {}
func (Named) o() {}
func (Named) p() {}
func (Named) q() {}
func (Named) r() {}
func (Named) s() {}
func (Named) t() {}
func (Named) u() {}

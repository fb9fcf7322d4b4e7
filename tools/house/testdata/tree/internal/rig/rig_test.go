package rig

import "testing"

type bench struct{ testing.TB }

func TestRig(*testing.T) { _, _, _ = Crowded{}, Named{}, bench{} }

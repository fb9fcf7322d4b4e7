package partition

// Handing keys over costs listing: those from a cut to the next anchor, Raggedness
// of them on average, are listed by both sides.
const (
	// worth is how many times Raggedness must be left for each piece that is given
	// away, so that no part is thought to hold less than half of that. With less,
	// what the fleet lists twice takes as long as what it gains.
	worth = 4
	// pays is how many seconds of listing must be left for each, for it takes some
	// tenths of one until it is listed.
	pays = 1.0
	// mostPieces bounds one hand-over: pieces are queued while the listing waits.
	// Whoever gets one gives from it in turn.
	mostPieces = 64
)

// Gives returns the most pieces that a partition which has about `left` keys left
// is worth being cut into for others, if it is listed at a rate of so many keys a second.
func (b Breaks) Gives(left, rate float64) int {
	return int(min(left/max(worth*float64(b.Raggedness), pays*rate), mostPieces))
}

// Shares says how many pieces each of several partitions gives to so many that are
// idle: lefts[i] is about how many keys partition i has left. The largest part is cut again
// until all have one, so whoever has most left gives most, and of equals the first
// gives first.
func Shares(lefts []float64, idle int) []int {
	pieces := make([]int, len(lefts))
	for range min(idle, mostPieces*len(lefts)) {
		best, most := 0, -1.0
		for i, left := range lefts {
			if part := left / float64(pieces[i]+1); part > most && pieces[i] < mostPieces {
				best, most = i, part
			}
		}
		pieces[best]++
	}
	return pieces
}

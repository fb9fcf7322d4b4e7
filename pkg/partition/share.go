package partition

// A hand-over costs listing: both sides list the keys from the cut to the next anchor,
// Raggedness of them on average.
const (
	// worth times Raggedness keys must be left for each piece that is given away, so
	// that every part is expected to have at least half of that. With less, listing keys
	// twice takes as long as what the fleet gains.
	worth = 4
	// pays is how many seconds of listing must be left for each piece, since it takes
	// some tenths of a second until a piece is listed.
	pays = 1.0
	// mostPieces bounds one hand-over, since the listing waits while pieces are queued.
	// A worker that gets a piece gives from it in turn.
	mostPieces = 64
)

// Gives returns how many pieces at most are worth being cut off a partition that has
// about `left` keys left and is listed at a rate of so many keys a second.
func (b Breaks) Gives(left, rate float64) int {
	return int(min(left/max(worth*float64(b.Raggedness), pays*rate), mostPieces))
}

// Shares returns how many pieces each of several partitions gives to so many idle slots,
// where partition i has about lefts[i] keys left. The largest part is cut again until there
// is a piece for each slot. So the partition that has most left gives most, and of equal
// ones the first gives first.
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

package partition

// Handing keys over costs listing: those from a cut to the next anchor, Raggedness
// of them on average, are listed by both sides.
const (
	// worth is how many times Raggedness a piece must hold at least, be it that
	// of the giver. Less gains hardly any time.
	worth = 3
	// thrift is how many times Raggedness pieces hold when there are several.
	thrift = 10
	// mostPieces bounds one hand-over: pieces are queued while the listing waits.
	// Whoever gets one gives from it in turn.
	mostPieces = 64
)

// Pieces returns how many pieces of a partition that has about `left` keys left
// to give to others, of whom so many are idle while so many, the giver among them,
// list. Each giver makes good for its share of the idle ones.
func (b Breaks) Pieces(left float64, idle, busy int) int {
	if idle < 1 || left < 2*worth*float64(b.Raggedness) {
		return 0
	}
	busy = max(busy, 1)
	share := (idle + busy - 1) / busy
	return int(min(max(1, left/(thrift*float64(b.Raggedness))), float64(share), mostPieces))
}

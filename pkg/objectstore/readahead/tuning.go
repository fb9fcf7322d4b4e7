package readahead

// The constants of the plan and of the demand for LISTs. They were measured by the
// simulation of sim_test.go: round trips, and LISTs over the minimum, of a million keys
// of each shape of internal/keyset unless 10M are named. Several constants were often
// chosen together; the figures are then those of all of them. docs/listing.md tells what
// the plan costs as a whole.

// How long segments may be.
const (
	// slack is how many LISTs the consumer may be kept waiting for a segment, and caution how
	// many more the more doubtful estimates are: a piece that ends somewhere wastes half a
	// LIST, one that ends with a full page hardly any. One more LIST of each, at 50 ms: hive 1156
	// -> 1140 LISTs, zipf 1140 -> 1124; zipf 1.57 -> 1.75 s.
	// Before caution, pieces near the consumer were three pages long for all shapes: 29.9 -> 27.4
	// round trips on average, and LISTs at most 1.176 -> 1.145.
	slack   = 2
	caution = 7
	// hurry is how much of the time until the consumer gets there is used, for not
	// all LISTs take as long. With 0.85 it waited: 10M of md5 272 -> 229 round trips.
	hurry = 0.6
	// reach is how far from the consumer a segment may lie to be listed, in windows, for what
	// lies before it is taken meanwhile. Chosen.
	reach = 1.25
	// Where much is held that lies behind what the consumer waits for, each LIST that it
	// waits is lost: tight is slack then, with a third of the caution. It is much if the
	// consumer needs as long for that as `ready` LISTs last. Without, a third of
	// the time went into waiting at 10M: cjk 327 -> 257 round trips.
	tight = 1
	ready = 2
	// lagging is the part of the budget that is used up while the consumer waits for a
	// segment, if it can make up for that. 4M keys, 4 LISTs in flight: hive 1180 and 1.177 ->
	// 1032 and 1.030, fractal 1187 and 1.185 -> 1048 and 1.047.
	lagging = 1.0 / 6
	// given is the part of what is left before upto that is listed at once then: the rest may
	// be given away. 12M of hive by 8 workers of 4 LISTs: 57.2 -> 51.4 s, LISTs
	// 1.32 -> 1.21.
	given = 1.0 / 4
)

// What may be listed.
const (
	// reserve is the part of the budget that is kept for segments nearer than those a window
	// ahead. Chosen.
	reserve = 0.25
	// pastUpto is how many pages past upto are listed before the first of them is taken. Chosen:
	// the next anchor is 50 pages away on average, but may be in the first one.
	pastUpto = 4
)

// What may be cut.
const (
	// sound is the doubt below which what nothing was listed of is cut like what was. Between the
	// doubts of hashes, below 0.1, and of logs by the hour, above 0.3.
	sound = 0.2
	// How many LISTs cuts may waste, most of them half of one at the end of a segment: beyond
	// thriftyFirst and thriftyShare of the pages listed the plan gets more patient, up to
	// stingy times as much. 14 and not 28 LISTs, with hurry 0.6: 38.6 and 1.083 -> 36.9 and
	// 1.068 on average, zruns 48 and 1.170 -> 38 and 1.161.
	thriftyFirst, thriftyShare = 14, 0.02
	stingy                     = 4
	// settled is stingy once settledAfter windows are listed: pieces that take longer than the
	// consumer needs to get to them only keep it waiting from then on, while the budget is
	// used up by what lies behind them. 10M: zruns 708 -> 528 round trips, hive 514 -> 328.
	settled, settledAfter = 1.2, 2
	// Beyond wastefulFirst LISTs and wastefulShare of the pages, the plan cuts off only a quarter
	// of what it would. Chosen, to bound the waste of unknown shapes.
	wastefulFirst, wastefulShare = 100, 0.2
	// firstTrust is how many segments without a page there may be at first, and leastTrust how
	// many always. With 4 always LISTs were idle where guesses are often
	// wrong: fractal 40.2 -> 37.3 round trips for as many LISTs.
	firstTrust, leastTrust = 10, 8
	// lessTrust is what a guess that was wrong leaves of trust; one that was right adds one.
	// Chosen, like the window of TCP.
	lessTrust = 0.8
)

// How many LISTs are worth having in flight. Before they were bounded by the consumer's pace, 12 %
// more than the minimum were made where there is no latency to hide; since then 1 to 6 %.
const (
	// spare is how many LISTs more than needed are in flight, for they do not all take as
	// long; few is how many are even if one would do. Chosen.
	spare = 1.5
	few   = 3
	// typical is how long a LIST takes, over the fastest ones: their mean grows with the calls
	// in flight where the processor is what they wait for. With the mean, 10M objects
	// without latency took 1.060 of the LISTs, 1M 1.16; now 1.042 and 1.075, at load 15 to 20.
	typical = 1.25
)

// How the limit of LISTs in flight falls and stops to grow fast.
const (
	// leftByCut is what a cut leaves of the limit at least, and cutJitter how much more at
	// most: seven tenths on average, as in TCP CUBIC. Chosen.
	leftByCut, cutJitter = 0.65, 0.1
	// slower is how many times as long as at its best a store's round trip takes if more calls
	// only wait longer. Chosen.
	slower = 2
)

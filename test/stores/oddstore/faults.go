package oddstore

// Faults are what the server does in a way of its own. The zero Faults are none.
type Faults struct {
	// Of pages of a listing.

	EchoesEncoding bool   // keys are said to be URL-encoded, and written as they are
	HidesEncoding  bool   // keys are URL-encoded, and that is not said
	RollsUp        bool   // keys are rolled up by '/', though no delimiter was asked for
	Root           string // the name of the root element; "" is ListBucketResult
	NoETags        bool
	EndsUnsaid     bool   // the last page has no IsTruncated
	IgnoresTokens  bool   // a continuation token leads to the first page
	BareMarkers    bool   // keys that end in '/' are listed without size, time and ETag
	ListsTwice     bool   // the key that is the prefix is listed twice
	UTF16          bool   // keys are listed in the order of UTF-16
	Compresses     bool   // pages are compressed by gzip
	DefaultPage    int    // the keys of a page unless max-keys asks for others; 0 is 1000
	LatePage       int    // pages that may have more keys are answered 504, with HTML; 0: none are
	Says           string // pages are this JSON or other text; "" is what they should be

	// Of requests.

	RewritesEncoding bool   // ",gzip(gfe)" is appended to Accept-Encoding before the signature is checked
	RedirectsTo      string // the host to which requests of Source are redirected by 307; "": none are
	LivesIn          string // Source is in this region of AWS: requests of it are answered 301; "": it is here
	UnknownUsers     bool   // credentials that are not known are answered 404 XAdminUserNotFound
	Tenant           string // Source is the bucket of this tenant

	// Of objects that are put.

	DemandsChecksum bool // as buckets with Object Lock do
	RefusesChecksum bool
}

package oddstore

// Faults are deviations from S3. The zero value has none.
type Faults struct {
	// Faults of pages.

	EchoesEncoding bool   // EncodingType says that keys are URL-encoded, but they are not
	HidesEncoding  bool   // keys are URL-encoded, but there is no EncodingType
	RollsUp        bool   // keys are rolled up at '/', although the request has no delimiter
	Root           string // the name of the root element; "" is ListBucketResult
	NoETags        bool
	EndsUnsaid     bool   // the last page has no IsTruncated
	IgnoresTokens  bool   // a continuation token leads to the first page
	BareMarkers    bool   // keys that end in '/' are listed without size, time and ETag
	ListsTwice     bool   // a key that equals the prefix is listed twice
	UTF16          bool   // keys are listed in the order of UTF-16
	Compresses     bool   // pages are compressed with gzip
	DefaultPage    int    // keys in a page if the request has no max-keys; 0 for 1000
	LatePage       int    // requests for more keys in a page are answered 504, with HTML; 0 for no limit
	Says           string // if not "", pages consist of this text, with the media type of JSON

	// Faults of requests.

	RewritesEncoding bool   // ",gzip(gfe)" is appended to Accept-Encoding before the signature is checked
	RedirectsTo      string // if not "", requests for Source are redirected to this host by 307
	LivesIn          string // if not "", Source is in this region of AWS, and requests for it are answered 301
	UnknownUsers     bool   // requests with unknown credentials are answered 404 XAdminUserNotFound
	Tenant           string // Source is a bucket of this tenant

	// Faults of PUTs.

	DemandsChecksum bool // a checksum is required, as for buckets with Object Lock
	RefusesChecksum bool
}

package synths3

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// render writes the page as XML into p.buf. It appends text instead of using an encoder, since
// the server often shares its cores with the measured program.
func (p *page) render(b bucket, quirks quirks, checksums bool) {
	encode := encodeXML
	switch {
	case p.encode && !quirks.has(NoEncoding):
		encode = appendURL
	case quirks.has(ReplacedControls):
		encode = encodeReplaced
	case quirks.has(RawControls):
		encode = encodeRaw
	}
	tail := tailBare
	if checksums {
		tail = tailFull
	}
	buf := p.head(p.buf[:0], encode, quirks)
	for _, it := range p.items {
		if it.prefix == "" {
			buf = append(buf, "<Contents><Key>"...)
			p.key = b.AppendKey(p.key[:0], it.index)
			buf = encode(buf, p.key)
			o := b.Object(it.index)
			buf = append(buf, "</Key><LastModified>"...)
			buf = appendTime(buf, o.ModTime)
			buf = append(buf, "</LastModified><ETag>&quot;"...)
			buf = appendHex(appendHex(buf, o.Hash[0]), o.Hash[1])
			buf = append(buf, "&quot;</ETag><Size>"...)
			buf = strconv.AppendInt(buf, o.Size, 10)
			buf = append(buf, tail...)
		}
	}
	for _, it := range p.items {
		if it.prefix != "" {
			buf = append(buf, "<CommonPrefixes><Prefix>"...)
			buf = encode(buf, []byte(it.prefix))
			buf = append(buf, "</Prefix></CommonPrefixes>"...)
		}
	}
	if !quirks.has(Unclosed) {
		buf = append(buf, "</ListBucketResult>"...)
	}
	p.buf = buf
}

const (
	tailBare = "</Size><StorageClass>STANDARD</StorageClass></Contents>"
	tailFull = "</Size><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>" +
		"<StorageClass>STANDARD</StorageClass></Contents>"
)

// head appends the elements that AWS sends before the first object.
func (p *page) head(buf []byte, encode func([]byte, []byte) []byte, quirks quirks) []byte {
	element := func(name string, value []byte) {
		buf = append(append(append(buf, '<'), name...), '>')
		buf = append(buf, value...)
		buf = append(append(append(buf, "</"...), name...), '>')
	}
	buf = append(buf, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`...)
	element("Name", encodeXML(nil, []byte(p.bucket)))
	element("Prefix", encode(nil, []byte(p.prefix)))
	if p.startAfter != "" {
		element("StartAfter", encode(nil, []byte(p.startAfter)))
	}
	if p.delimiter != "" {
		element("Delimiter", encode(nil, []byte(p.delimiter)))
	}
	if p.encode && !quirks.has(NoEncoding) && !quirks.has(SilentEncoding) {
		element("EncodingType", []byte("url"))
	}
	if p.after != "" && !quirks.has(NoToken) {
		element("NextContinuationToken", []byte(p.after))
	}
	switch {
	case quirks.has(NoKeyCount):
	case quirks.has(WrongKeyCount):
		element("KeyCount", strconv.AppendInt(nil, int64(len(p.items)/2), 10))
	default:
		element("KeyCount", strconv.AppendInt(nil, int64(len(p.items)), 10))
	}
	element("MaxKeys", strconv.AppendInt(nil, int64(p.maxKeys), 10))
	element("IsTruncated", strconv.AppendBool(nil, p.truncated))
	return buf
}

// appendHex appends v as 16 hexadecimal digits.
func appendHex(buf []byte, v uint64) []byte {
	for shift := 56; shift >= 0; shift -= 8 {
		b := int(v >> shift & 0xff)
		buf = append(buf, hexPairs[2*b:2*b+2]...)
	}
	return buf
}

// hexPairs holds the two digits of each byte, and decimalPairs those of 0 to 99.
var hexPairs, decimalPairs = pairs("0123456789abcdef"), pairs("0123456789")

func pairs(digits string) string {
	var all []byte
	for _, high := range []byte(digits) {
		for _, low := range []byte(digits) {
			all = append(all, high, low)
		}
	}
	return string(all)
}

// literal are the bytes that AWS does not escape in an encoded key.
var literal = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.*/") {
		t[c] = true
	}
	return t
}()

// appendURL appends text in the encoding of AWS for encoding-type url. It is that of a form,
// in which a space is '+', except that '/' is not escaped.
func appendURL(buf, text []byte) []byte {
	const upperHex = "0123456789ABCDEF"
	for i := 0; i < len(text); {
		start := i
		for i < len(text) && literal[text[i]] {
			i++
		}
		buf = append(buf, text[start:i]...) // most keys consist of one such run
		for ; i < len(text) && !literal[text[i]]; i++ {
			if c := text[i]; c == ' ' {
				buf = append(buf, '+')
			} else {
				buf = append(buf, '%', upperHex[c>>4], upperHex[c&15])
			}
		}
	}
	return buf
}

// encodeXML appends text in the encoding of AWS for a listing without encoding-type: with
// character references, even for characters that XML forbids.
func encodeXML(buf, text []byte) []byte {
	return escape(buf, text, func(buf []byte, c byte) []byte {
		buf = strconv.AppendInt(append(buf, "&#x"...), int64(c), 16)
		return append(buf, ';')
	})
}

// encodeReplaced replaces characters that XML forbids.
func encodeReplaced(buf, text []byte) []byte {
	return escape(buf, text, func(buf []byte, _ byte) []byte { return utf8.AppendRune(buf, utf8.RuneError) })
}

// encodeRaw appends characters that XML forbids as they are.
func encodeRaw(buf, text []byte) []byte {
	return escape(buf, text, func(buf []byte, c byte) []byte { return append(buf, c) })
}

// unescaped are the bytes that escape does not escape.
var unescaped = func() (t [256]bool) {
	for c := ' '; c < 256; c++ {
		t[c] = !strings.ContainsRune(`&<>"`, c)
	}
	return t
}()

// escape appends text escaped for XML. It calls control to append a control character.
func escape(buf, text []byte, control func([]byte, byte) []byte) []byte {
	for i := 0; i < len(text); i++ {
		start := i
		for i < len(text) && unescaped[text[i]] {
			i++
		}
		if buf = append(buf, text[start:i]...); i == len(text) {
			break
		}
		switch c := text[i]; c {
		case '&':
			buf = append(buf, "&amp;"...)
		case '<':
			buf = append(buf, "&lt;"...)
		case '>':
			buf = append(buf, "&gt;"...)
		case '"':
			buf = append(buf, "&quot;"...)
		case '\t', '\n', '\r':
			buf = append(strconv.AppendInt(append(buf, "&#"...), int64(c), 10), ';')
		default:
			buf = control(buf, c)
		}
	}
	return buf
}

// appendTime appends a time in the form 2006-01-02T15:04:05.000Z. The time is in milliseconds
// since the Unix epoch and not negative.
func appendTime(buf []byte, ms int64) []byte {
	const day = 24 * 3600 * 1000
	year, month, dom := civil(ms / day)
	ms %= day
	two := func(v int64, sep byte) {
		buf = append(append(buf, decimalPairs[2*v:2*v+2]...), sep)
	}
	buf = append(buf, decimalPairs[2*(year/100):2*(year/100)+2]...)
	two(year%100, '-')
	two(month, '-')
	two(dom, 'T')
	two(ms/3_600_000, ':')
	two(ms/60_000%60, ':')
	two(ms/1000%60, '.')
	buf = append(buf, byte('0'+ms%1000/100))
	two(ms%100, 'Z')
	return buf
}

// civil returns the date of a day that is counted from 1970-01-01. Internally it counts years
// from March 1, so that a leap day is the last day of its year.
func civil(day int64) (year, month, dom int64) {
	const era = 146_097 // days in 400 years
	day += 719_468
	doe := day % era
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	year, month, dom = day/era*400+yoe, mp+3, doy-(153*mp+2)/5+1
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, dom
}

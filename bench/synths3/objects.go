package synths3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rangefleet/rangefleet/internal/keyset"
)

// stored is a bucket of objects that were put, sorted by key.
type stored struct {
	mu      sync.RWMutex
	objects []object
}

type object struct {
	key string
	keyset.Object
	content []byte
	kept    bool // content was kept
}

func (b *stored) find(key string) (int, bool) {
	return slices.BinarySearchFunc(b.objects, key, func(o object, key string) int { return strings.Compare(o.key, key) })
}

// The caller of the methods of bucket holds mu.

func (b *stored) Len() int64                           { return int64(len(b.objects)) }
func (b *stored) AppendKey(dst []byte, i int64) []byte { return append(dst, b.objects[i].key...) }
func (b *stored) Object(i int64) keyset.Object         { return b.objects[i].Object }

func (b *stored) Below(key string) int64 {
	i, _ := b.find(key)
	return int64(i)
}

func (b *stored) Rank(key string) int64 {
	i, found := b.find(key)
	if found {
		i++
	}
	return int64(i)
}

// object answers a call about one object.
func (s *Server) object(w http.ResponseWriter, r *http.Request, name, key string) {
	switch b := s.bucket(name).(type) {
	case nil:
		s.refuse(w, r, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	case *stored:
		switch r.Method {
		case http.MethodPut:
			s.put(w, r, b, key)
		case http.MethodDelete:
			s.remove(w, b, key)
		default:
			s.get(w, r, b, key)
		}
	default:
		i := b.Rank(key)
		switch {
		case r.Method != http.MethodHead && r.Method != http.MethodGet:
			s.refuse(w, r, http.StatusForbidden, "AccessDenied", "The bucket is generated: it cannot be written")
		case i == 0 || i == b.Below(key):
			s.refuse(w, r, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		case r.Method == http.MethodGet:
			s.refuse(w, r, http.StatusForbidden, "InvalidObjectState", "The object is generated: it has no content")
		default:
			o := b.Object(i - 1)
			describe(w, o)
			w.Header().Set("Content-Length", fmt.Sprint(o.Size))
		}
	}
}

func describe(w http.ResponseWriter, o keyset.Object) {
	w.Header().Set("ETag", fmt.Sprintf(`"%016x%016x"`, o.Hash[0], o.Hash[1]))
	w.Header().Set("Last-Modified", time.UnixMilli(o.ModTime).UTC().Format(http.TimeFormat))
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, b *stored, key string) {
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") || r.Header.Get("X-Amz-Copy-Source") != "" {
		s.refuse(w, r, http.StatusNotImplemented, "NotImplemented", "Copies and bodies signed in chunks are not implemented")
		return
	}
	o, err := s.receive(r)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "IncompleteBody", err.Error())
		return
	}
	o.key = key
	b.mu.Lock()
	i, found := b.find(key)
	if found {
		s.kept.Add(-int64(len(b.objects[i].content)))
		b.objects[i] = o
	} else {
		b.objects = slices.Insert(b.objects, i, o)
	}
	b.mu.Unlock()
	s.counters.bytesIn.Add(o.Size)
	describe(w, o.Object)
	w.WriteHeader(http.StatusOK)
}

// table is that of a checksum that processors have instructions for. An ETag is opaque to
// clients and has to differ for different contents, so it need not be an MD5.
var table = crc32.MakeTable(crc32.Castagnoli)

// receive reads and hashes the body of a PUT. It keeps the content unless that would exceed
// KeepBytes.
func (s *Server) receive(r *http.Request) (object, error) {
	o := object{kept: r.ContentLength >= 0 && s.kept.Add(r.ContentLength) <= s.cfg.KeepBytes}
	sum := crc32.New(table)
	var to io.Writer = sum
	var content bytes.Buffer
	if o.kept {
		content.Grow(int(r.ContentLength))
		to = io.MultiWriter(sum, &content)
	} else {
		s.kept.Add(-max(r.ContentLength, 0))
	}
	n, err := io.Copy(to, r.Body)
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		if o.kept {
			s.kept.Add(-r.ContentLength)
		}
		return object{}, fmt.Errorf("read the body: %w", err)
	}
	o.content = content.Bytes()
	o.Object = keyset.Object{Size: n, ModTime: s.cfg.Now().UnixMilli(), Hash: [2]uint64{uint64(n), uint64(sum.Sum32())}}
	return o, nil
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, b *stored, key string) {
	b.mu.RLock()
	i, found := b.find(key)
	var o object
	if found {
		o = b.objects[i]
	}
	b.mu.RUnlock()
	switch {
	case !found:
		s.refuse(w, r, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	case r.Method == http.MethodHead:
		describe(w, o.Object)
		w.Header().Set("Content-Length", fmt.Sprint(o.Size))
	case !o.kept:
		s.refuse(w, r, http.StatusForbidden, "InvalidObjectState", "The object's content was not kept")
	default:
		describe(w, o.Object)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.UnixMilli(o.ModTime), bytes.NewReader(o.content))
	}
}

func (s *Server) remove(w http.ResponseWriter, b *stored, key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, found := b.find(key); found {
		s.kept.Add(-int64(len(b.objects[i].content)))
		b.objects = slices.Delete(b.objects, i, i+1)
	}
	w.WriteHeader(http.StatusNoContent)
}

// refuse answers with an error in S3's format.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	body, err := xml.Marshal(struct {
		XMLName                 xml.Name `xml:"Error"`
		Code, Message, Resource string
	}{Code: code, Message: message, Resource: r.URL.Path})
	if err != nil { // XML cannot encode the path
		body = []byte("<Error><Code>" + code + "</Code></Error>")
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone if this fails
}

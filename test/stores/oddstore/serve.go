package oddstore

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ServeHTTP implements http.Handler.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, key := s.locate(r.URL)
	s.note(Request{Method: r.Method, Host: r.Host, Bucket: bucket, Key: key, Query: r.URL.Query(), Signed: r.Header.Get("Authorization") != ""})
	switch {
	case bucket == Source && s.redirected(w, r):
	case !s.admitted(w, r):
	case key == "" && r.Method == http.MethodHead:
		if _, exists, _ := s.get(bucket, ""); !exists {
			w.WriteHeader(http.StatusNotFound)
		}
	case key == "" && r.Method == http.MethodGet:
		s.list(w, bucket, r.URL.Query())
	case r.Method == http.MethodPut:
		s.take(w, r, bucket, key)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.give(w, r, bucket, key)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "The method is not allowed.", "")
	}
}

// locate returns the bucket and the key of a path-style URL.
func (s *Store) locate(u *url.URL) (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if s.faults.Tenant != "" {
		bucket = strings.TrimPrefix(bucket, s.faults.Tenant+":")
	}
	return bucket, key
}

// redirected answers a request with a redirect, if the faults say so.
func (s *Store) redirected(w http.ResponseWriter, r *http.Request) bool {
	switch to, region := s.faults.RedirectsTo, s.faults.LivesIn; {
	case to != "" && r.Host != to:
		w.Header().Set("Location", "http://"+to+r.URL.RequestURI())
		refuse(w, http.StatusTemporaryRedirect, "TemporaryRedirect", "Please re-send this request to the specified temporary endpoint.", "<Endpoint>"+to+"</Endpoint>")
		return true
	case region != "":
		w.Header().Set("X-Amz-Bucket-Region", region)
		refuse(w, http.StatusMovedPermanently, "PermanentRedirect", "The bucket must be addressed using the specified endpoint.",
			fmt.Sprintf("<Endpoint>%s.s3.%s.amazonaws.com</Endpoint>", Source, region))
		return true
	}
	return false
}

// admitted checks the signature of a request, and answers the request if it is not valid.
func (s *Store) admitted(w http.ResponseWriter, r *http.Request) bool {
	if s.faults.RewritesEncoding {
		r.Header.Set("Accept-Encoding", strings.TrimPrefix(r.Header.Get("Accept-Encoding")+",gzip(gfe)", ","))
	}
	id, err := verify(r)
	if id != AccessKeyID {
		s.noteRefused()
	}
	switch {
	case id != AccessKeyID && s.faults.UnknownUsers:
		refuse(w, http.StatusNotFound, "XAdminUserNotFound", "No user exists with the provided access key ID.", "")
	case id != AccessKeyID:
		refuse(w, http.StatusForbidden, "InvalidAccessKeyId", "The access key ID does not exist.", "")
	case err != nil:
		refuse(w, http.StatusForbidden, "SignatureDoesNotMatch", err.Error(), "")
	default:
		return true
	}
	return false
}

// take stores an object.
func (s *Store) take(w http.ResponseWriter, r *http.Request, bucket, key string) {
	checksum := r.Header.Get("X-Amz-Checksum-Sha256")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	sum := hashed(body)
	switch {
	case checksum == "" && s.faults.DemandsChecksum:
		refuse(w, http.StatusBadRequest, "InvalidRequest",
			"Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters", "")
	case checksum != "" && s.faults.RefusesChecksum:
		refuse(w, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented.", "")
	case checksum != "" && checksum != base64.StdEncoding.EncodeToString(sum[:]):
		refuse(w, http.StatusBadRequest, "BadDigest", "The SHA-256 you specified did not match what we received.", "")
	default:
		s.put(bucket, key, body)
	}
}

// give sends an object, or the requested range of it.
func (s *Store) give(w http.ResponseWriter, r *http.Request, bucket, key string) {
	o, exists, found := s.get(bucket, key)
	switch {
	case !exists:
		refuse(w, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.", "")
	case !found:
		refuse(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", "")
	default:
		w.Header().Set("ETag", `"`+o.ETag()+`"`)
		http.ServeContent(w, r, "", o.Time, strings.NewReader(string(o.Body)))
	}
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, status int, code, message, more string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s<Error><Code>%s</Code><Message>%s</Message>%s<RequestId>r1</RequestId></Error>", xml.Header, code, escaped(message), more)
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}

// instant is how a listing writes times.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

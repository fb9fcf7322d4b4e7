package listxml

import "testing"

// TestUsualPagesAreScanned checks that the pages of stores that are used much do
// not take the slow way.
func TestUsualPagesAreScanned(t *testing.T) {
	for store, body := range map[string]string{
		"AWS": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>p/</Prefix>` +
			`<StartAfter>p/a</StartAfter><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>` +
			`<NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>` +
			`<Contents><Key>p/a%3Ab</Key><LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e-3&quot;</ETag>` +
			`<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>5</Size><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>`,
		"Ceph": `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType><Name>b</Name><Prefix></Prefix>` +
			`<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>%20a</Key><LastModified>2026-11-23T01:08:23.197Z</LastModified>` +
			`<ETag>&quot;bc6c102baeafb99ea3d0da5177db1dbe&quot;</ETag><Size>13</Size><StorageClass>STANDARD</StorageClass><Type>Normal</Type></Contents>` +
			"<KeyCount>1</KeyCount><StartAfter>\x01</StartAfter></ListBucketResult>",
		"Go's encoding/xml": `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix>` +
			`<IsTruncated>false</IsTruncated><Contents><Key>a&#39;b&amp;c</Key><LastModified>2024-05-06T07:08:09.123Z</LastModified><ETag>&#34;e&#34;</ETag><Size>5</Size>` +
			`<Owner><ID>02d6</ID><DisplayName></DisplayName></Owner><UserMetadata></UserMetadata></Contents></ListBucketResult>`,
		"indented": "<?xml version='1.0' encoding='utf-8'?>\r\n<ListBucketResult>\r\n  <IsTruncated>false</IsTruncated>\r\n  <Prefix/>\r\n  <Contents>\r\n    <Key>é</Key>\r\n" +
			"    <Owner>\r\n      <DisplayName/>\r\n    </Owner>\r\n    <Size>5</Size>\r\n    <LastModified>2024-05-06T07:08:09.123Z</LastModified>\r\n  </Contents>\r\n</ListBucketResult>\r\n",
	} {
		var p Page
		if !p.scan([]byte(body)) || len(p.Objects) != 1 {
			t.Errorf("%s: %d objects; the page is left to encoding/xml", store, len(p.Objects))
		}
	}
}

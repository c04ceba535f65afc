/**
 * The dictionary that every SPDY/3 header compressor starts from (SPDY/3.1 section 2.6.10.1): names with their length in 32 bits,
 * then text. A test compares its Adler-32, the DICTID that every implementation sends.
 */
const NAMES = [
  'options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|allow|authorization',
  'cache-control|connection|content-base|content-encoding|content-language|content-length|content-location|content-md5',
  'content-range|content-type|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range',
  'if-unmodified-since|last-modified|location|max-forwards|pragma|proxy-authenticate|proxy-authorization|range|referer',
  'retry-after|server|te|trailer|transfer-encoding|upgrade|user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK',
  'version|HTTP/1.1|url|public|set-cookie|keep-alive|origin',
]

const TEXT = [
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information2',
  '04 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not ',
  'Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Su',
  'n, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publi',
  'cprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
]

export const headerDictionary: Buffer = Buffer.concat([
  ...NAMES.join('|')
    .split('|')
    .flatMap((name) => [uint32(name.length), Buffer.from(name, 'latin1')]),
  Buffer.from(TEXT.join(''), 'latin1'),
])

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

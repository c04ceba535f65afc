/**
 * Bytes at the end that are the beginning of a UTF-8 character whose rest hasn't come (RFC 3629 section 3); 0 when there
 * are none, or when what is there can't become one.
 */
export function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0
    // A continuation byte: its leader stands further in front.
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 ? (byte <= 0xef ? 3 : 0) : byte >= 0xc2 && byte <= 0xdf ? 2 : 0
    return length > back ? back : 0
  }
  return 0
}

const named: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  e: '\u001B',
  E: '\u001B',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '?': '?',
}

const escapes = /\\(?:([abeEfnrtv\\'"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([\s\S]))/g

/**
 * Decodes the inside of $'…' (bash manual, ANSI-C quoting). Undefined when the bytes aren't what they look like: \c, NUL
 * (which ends the word), bytes above 0x7F that only together would be UTF-8.
 */
export function decodeAnsi(value: string): string | undefined {
  let failed = false
  const decoded = value.replace(escapes, (_match, name?: string, octal?: string, hex?: string, short?: string, long?: string) => {
    if (name !== undefined) return named[name] ?? ''
    const byte = octal === undefined ? hex === undefined ? undefined : Number.parseInt(hex, 16) : Number.parseInt(octal, 8)
    if (byte !== undefined && byte > 0 && byte < 0x80) return String.fromCharCode(byte)
    const point = Number.parseInt(short ?? long ?? '0', 16)
    // Above ASCII the result depends on the locale of the host.
    if (byte === undefined && point > 0 && point < 0x80) return String.fromCodePoint(point)
    failed = true
    return ''
  })
  return failed ? undefined : decoded
}

import { each, type Detector, type Report } from './detector.js'
import { has } from './features.js'

/** A word that names a secret, an optional quote, then `=`, `:` or `=>`. Every repetition is bounded. */
const assignment =
  /(?:passw(?:or)?d|passphrase|pwd|secret(?:[_-]?key)?|api[_-]?key|(?:access|auth|refresh|bearer|id)[_-]?token|client[_-]?secret|private[_-]?key|credentials?)["'\\]{0,2}[ \t]{0,4}(?:=>|[:=])[ \t]{0,4}/gi
const authorization =
  /(?:authorization["'\\]{0,2}[ \t]{0,4}[:=][ \t]{0,4}["']?(?:bearer|basic|token)|bearer) {1,2}([A-Za-z0-9._~+/=-]{16,2048})/gi

const maxValue = 512
const minValue = 4
/** What stands where a secret would, but is none. */
const placeholder = /^(?:\[redacted\]|\*+|\$\{|\{\{|<|%s|\?|\$\d|null\b|none\b|true\b|false\b|undefined\b)/i

/** Masks the value only: what the secret was for stays readable. */
export const password: Detector = {
  name: 'password',
  group: 'secrets',
  about: 'Values after password=, secret:, api_key=, Authorization: …, and passwords in URLs and connection strings.',
  needs: [
    { length: 8, all: has.assign, any: has.afterF | has.upper },
    { length: 23, tokenRun: 6, any: has.afterF | has.upper, all: has.gap },
  ],
  find(text, report) {
    each(assignment, text, (match) => findValue(text, match.index + match[0].length, report))
    each(authorization, text, (match) => {
      const value = match[1] ?? ''
      report(match.index + match[0].length - value.length, match.index + match[0].length)
    })
    findInUrls(text, report)
  },
}

function findValue(text: string, from: number, report: Report): void {
  const quote = text.charAt(from)
  const quoted = quote === '"' || quote === "'" || quote === '`'
  const start = quoted ? from + 1 : from
  const limit = Math.min(text.length, start + maxValue)
  let end = start
  while (end < limit && (quoted ? text.charAt(end) !== quote : !ends(text.charCodeAt(end)))) end++
  const value = text.slice(start, end)
  if (value.length >= minValue && !placeholder.test(value)) report(start, end)
}

/** Blank, quotes, `,` `;` `&` `)` `}` end a bare value. */
function ends(code: number): boolean {
  return code <= 32 || code === 34 || code === 39 || code === 96 || code === 44 || code === 59 || code === 38 || code === 41 || code === 125
}

/** `scheme://user:password@host`: found from each `://`, with bounds on user and password. */
function findInUrls(text: string, report: Report): void {
  for (let scheme = text.indexOf('://'); scheme >= 0; scheme = text.indexOf('://', scheme + 3)) {
    const limit = Math.min(text.length, scheme + 3 + 128 + maxValue)
    let colon = -1
    for (let index = scheme + 3; index < limit; index++) {
      const code = text.charCodeAt(index)
      if (code <= 32 || code === 47 || code === 63 || code === 35 || code === 34) break
      if (code === 58 && colon < 0) colon = index
      if (code !== 64) continue
      if (colon >= 0 && index > colon + 1 && !placeholder.test(text.slice(colon + 1, index))) report(colon + 1, index)
      break
    }
  }
}

import { each, isAlphanumeric, runEnd, type Detector } from './detector.js'
import { has } from './features.js'

function isBase64Url(code: number): boolean {
  return isAlphanumeric(code) || code === 45 || code === 95
}

function isBase64(code: number): boolean {
  return isAlphanumeric(code) || code === 43 || code === 47
}

/** Longest header that is decoded to see whether it is one. */
const maxHeader = 4096

/**
 * RFC 7515/7516 compact form: three or five base64url parts, the first a JSON object with `alg`. `eyJ` is `{"` encoded.
 * A part that leads nowhere is skipped as a whole, so a text full of `eyJ` is still read once.
 */
export const jwt: Detector = {
  name: 'jwt',
  group: 'secrets',
  about: 'JSON Web Tokens (signed or encrypted).',
  anchors: ['eyJ'],
  needs: [{ tokenRun: 15, all: has.dot }],
  find(text, report) {
    let from = 0
    for (let start = text.indexOf('eyJ', from); start >= 0; start = text.indexOf('eyJ', from)) {
      const header = runEnd(text, start, text.length, isBase64Url)
      from = header
      if (text.charAt(header) !== '.' || header - start > maxHeader || !isHeader(text.slice(start, header))) continue
      let end = header
      let parts = 1
      while (parts < 5 && text.charAt(end) === '.') {
        end = runEnd(text, end + 1, text.length, isBase64Url)
        parts++
      }
      if (parts < 3) continue
      report(start, end)
      from = end
    }
  },
}

function isHeader(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('latin1').includes('"alg"')
}

/** From the opening line to the closing one; without a closing line, to the end of the text. */
export const privateKey: Detector = {
  name: 'private_key',
  group: 'secrets',
  about: 'Private keys: PEM and OpenSSH blocks, PuTTY files, age keys.',
  anchors: ['-----BEGIN', 'PuTTY-User-Key-File', 'AGE-SECRET-KEY-1'],
  needs: [{ length: 30, all: has.dash | has.upper }],
  find(text, report) {
    const opening = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g
    for (let match = opening.exec(text); match; match = opening.exec(text)) {
      const closing = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g
      closing.lastIndex = opening.lastIndex
      const end = closing.exec(text) ? closing.lastIndex : text.length
      report(match.index, end)
      if (end === text.length) return
      opening.lastIndex = end
    }
    const putty = text.indexOf('PuTTY-User-Key-File')
    if (putty >= 0) report(putty, text.length)
    each(/AGE-SECRET-KEY-1[0-9A-Z]{58}/g, text, (match) => report(match.index, match.index + match[0].length))
  },
}

const awsContext = /(?:aws|secret|access)[ _-]?(?:access|secret)?[ _-]?key|AKIA|ASIA/i
const secretLength = 40

/**
 * Forty base64 characters. Alone that could be anything, so it takes either a word or an access key id in the same value,
 * or a look that hashes, hex and words don't have: upper, lower, digits and one of `+/`.
 */
export const awsSecret: Detector = {
  name: 'aws_secret',
  group: 'secrets',
  about: 'AWS secret access keys.',
  needs: [{ base64Run: secretLength, all: has.upper }],
  find(text, report) {
    let context: boolean | undefined
    let index = 0
    while (index < text.length) {
      const end = runEnd(text, index, text.length, isBase64)
      if (end - index === secretLength) {
        const run = text.slice(index, end)
        const mixed = /[a-z]/.test(run) && /[A-Z]/.test(run) && /\d/.test(run)
        context ??= awsContext.test(text)
        if (mixed && (context || /[+/]/.test(run))) report(index, end)
      }
      index = end + 1
    }
  },
}

import { each, isAlphanumeric, isDigit, runEnd, type Detector, type Report } from './detector.js'
import { has } from './features.js'

/** RFC 5321, 4.5.3.1: 64 characters before the @, 255 after it. Bounds the work at each @. */
const maxLocal = 64
const maxDomain = 255

/** Of the marks that RFC 5322 allows in an atom, those in real use; the others more often belong to what surrounds an address. */
const localMarks = new Set('._%+-&~'.split('').map((character) => character.charCodeAt(0)))

function isLocal(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  if (isAlphanumeric(code) || code > 127 || localMarks.has(code)) return true
  // An apostrophe inside a name (o'brien), not an opening quote.
  return code === 39 && isAlphanumeric(text.charCodeAt(index - 1))
}

/** Grown from each @ outwards, so text without one costs nothing. The last label must be two letters or more. */
export const email: Detector = {
  name: 'email',
  group: 'pii',
  about: 'E-mail addresses.',
  needs: [{ all: has.at | has.dot, length: 6 }],
  find(text, report) {
    let floor = 0
    for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
      let start = at
      while (start > floor && at - start < maxLocal && isLocal(text, start - 1)) start--
      let end = runEnd(text, at + 1, maxDomain, (code) => isAlphanumeric(code) || code > 127 || code === 45 || code === 46)
      while (end > at + 1 && !isAlphanumeric(text.charCodeAt(end - 1)) && text.charCodeAt(end - 1) < 128) end--
      // Inside the slice: over the whole text, a search for the last dot at each @ would be quadratic.
      const domain = text.slice(at + 1, end)
      const dot = domain.lastIndexOf('.')
      if (start === at || dot < 1 || domain.length - dot - 1 < 2 || isDigit(domain.charCodeAt(dot + 1))) continue
      // Marks at the start belong to what surrounds the address.
      while (start < at - 1 && !isAlphanumeric(text.charCodeAt(start)) && text.charCodeAt(start) < 128 && text.charCodeAt(start) !== 95)
        start++
      report(start, end)
      floor = end
    }
  },
}

/** SSA: area not 000, 666 or 9xx; group not 00; serial not 0000. Without separators nine digits could be anything. */
const ssnPattern = /(?<![\d-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\d-])/g

export const ssn: Detector = {
  name: 'ssn',
  group: 'pii',
  about: 'US social security numbers, written with separators.',
  needs: [{ digitRun: 9, length: 11 }],
  find: (text, report) => each(ssnPattern, text, (match) => report(match.index, match.index + match[0].length)),
}

const northAmerican = /(?<![\d.-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}(?![\d-])/g

/** E.164 numbers have 8 to 15 digits in practice; at most two marks stand between two groups. */
const minPhoneDigits = 8
const maxPhoneDigits = 15
const maxPhoneGap = 2

/** `+` and digits, or a North American number in groups; bare digits could be anything. */
export const phone: Detector = {
  name: 'phone',
  group: 'pii',
  about: 'Telephone numbers: international with +, or North American in groups.',
  needs: [
    { digitRun: minPhoneDigits, all: has.plus },
    { digitRun: 10, any: has.dash | has.dot | has.gap },
  ],
  find(text, report) {
    for (let plus = text.indexOf('+'); plus >= 0; plus = text.indexOf('+', plus + 1)) {
      const end = internationalEnd(text, plus + 1)
      if (end > 0) report(plus, end)
    }
    each(northAmerican, text, (match) => report(match.index, match.index + match[0].length))
  },
}

/** End of the longest run of whole groups that makes a number; 0 when there is none. What follows it (a second number) is left out. */
function internationalEnd(text: string, start: number): number {
  if (!isDigit(text.charCodeAt(start)) || text.charAt(start) === '0') return 0
  let digits = 0
  let best = 0
  let index = start
  for (;;) {
    const groupEnd = runEnd(text, index, maxPhoneDigits + 1, isDigit)
    digits += groupEnd - index
    if (groupEnd === index || digits > maxPhoneDigits) return best
    if (digits >= minPhoneDigits) best = groupEnd
    index = runEnd(
      text,
      groupEnd,
      maxPhoneGap,
      (code) => code === 32 || code === 45 || code === 46 || code === 40 || code === 41 || code === 160,
    )
    if (index === groupEnd) return best
  }
}

/** Length by country: SWIFT's IBAN registry (ISO 13616). */
const ibanLengths: ReadonlyMap<string, number> = new Map(
  `AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27
   GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19
   MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24
   TR26 UA29 VA22 VG24 XK20 YE30`
    .trim()
    .split(/\s+/)
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
)

const ibanStart = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}/g

export const iban: Detector = {
  name: 'iban',
  group: 'pii',
  about: 'International bank account numbers with the right length and check digits.',
  needs: [{ digits: 2, length: 15, base64Run: 4, any: has.upper | has.afterF }],
  find: (text, report) => each(ibanStart, text, (match) => findIban(text, match.index, match[0], report)),
}

function findIban(text: string, start: number, head: string, report: Report): void {
  const length = ibanLengths.get(head.slice(0, 2).toUpperCase())
  if (length === undefined) return
  let compact = ''
  let index = start
  while (compact.length < length && index < text.length) {
    const code = text.charCodeAt(index)
    if (isAlphanumeric(code)) compact += text.charAt(index)
    else if ((code !== 32 && code !== 45 && code !== 160) || !isAlphanumeric(text.charCodeAt(index + 1))) return
    index++
  }
  if (compact.length === length && !isAlphanumeric(text.charCodeAt(index)) && ibanRemainder(compact) === 1) report(start, index)
}

/** ISO 7064 MOD 97-10 over the number with its first four characters moved to the end and letters as 10–35. */
function ibanRemainder(compact: string): number {
  let remainder = 0
  for (const character of compact.slice(4) + compact.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return remainder
}

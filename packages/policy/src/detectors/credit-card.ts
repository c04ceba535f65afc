import { each, type Detector, type Report } from './detector.js'

/**
 * Issuer ranges by leading digits with the lengths in use (ISO/IEC 7812; the schemes' published BIN tables). Anything
 * else that happens to pass the checksum, one number in ten, is left alone.
 */
const ranges: readonly { readonly from: number; readonly to: number; readonly lengths: readonly number[] }[] = [
  { from: 4000, to: 4999, lengths: [13, 16, 19] },
  { from: 5100, to: 5599, lengths: [16] },
  { from: 2221, to: 2720, lengths: [16] },
  { from: 3400, to: 3499, lengths: [15] },
  { from: 3700, to: 3799, lengths: [15] },
  { from: 6011, to: 6011, lengths: [16, 19] },
  { from: 6440, to: 6599, lengths: [16, 19] },
  { from: 3000, to: 3059, lengths: [14, 16] },
  { from: 3095, to: 3095, lengths: [14, 16] },
  { from: 3600, to: 3699, lengths: [14, 16] },
  { from: 3800, to: 3999, lengths: [14, 16] },
  { from: 3528, to: 3589, lengths: [16, 19] },
  { from: 6200, to: 6299, lengths: [16, 17, 18, 19] },
  { from: 8100, to: 8199, lengths: [16, 19] },
  { from: 2200, to: 2204, lengths: [16, 19] },
  { from: 5018, to: 5038, lengths: [13, 14, 15, 16, 17, 18, 19] },
  { from: 5600, to: 5899, lengths: [13, 14, 15, 16, 17, 18, 19] },
  { from: 6304, to: 6304, lengths: [13, 14, 15, 16, 17, 18, 19] },
  { from: 6759, to: 6763, lengths: [13, 14, 15, 16, 17, 18, 19] },
]

/**
 * Runs of digit groups as cards print them: one group of 13–19, or groups of 3–6 with one separator between. The longest
 * run looked at is bounded; a longer one is continued at its next group.
 */
const digitGroups = /\d+/g
const maxGroups = 6

export const creditCard: Detector = {
  name: 'credit_card',
  group: 'pii',
  about: 'Payment card numbers: issuer range, length and Luhn check.',
  needs: [{ digitRun: 13 }],
  find(text, report) {
    const groups: { start: number; end: number }[] = []
    let done = 0
    each(digitGroups, text, (match) => groups.push({ start: match.index, end: match.index + match[0].length }))
    groups.forEach((group, index) => {
      if (group.start < done) return
      done = Math.max(done, cardFrom(text, groups, index, report))
    })
  },
}

/** Tries the group alone and with those that follow it, longest first; returns the end of what was found. */
function cardFrom(text: string, groups: readonly { start: number; end: number }[], first: number, report: Report): number {
  const head = groups[first]
  if (!head) return 0
  // The digits behind a decimal point are no card: measurements pass the checks one time in forty.
  if (text.charAt(head.start - 1) === '.' && /\d/.test(text.charAt(head.start - 2))) return 0
  const ends: { end: number; digits: string }[] = []
  let digits = ''
  let previousEnd = head.start
  for (let index = first; index < Math.min(groups.length, first + maxGroups); index++) {
    const group = groups[index]
    if (!group) break
    const size = group.end - group.start
    if (size > 19) break
    if (index > first) {
      const gap = text.slice(previousEnd, group.start)
      if (gap !== ' ' && gap !== '-' && gap !== '\u00a0' && gap !== '.') break
      if (size < 3 || size > 6 || head.end - head.start > 6 || head.end - head.start < 3) break
    }
    digits += text.slice(group.start, group.end)
    if (digits.length > 19) break
    previousEnd = group.end
    ends.push({ end: group.end, digits })
  }
  for (const candidate of ends.reverse()) {
    if (candidate.digits.length >= 13 && isCard(candidate.digits)) {
      report(head.start, candidate.end)
      return candidate.end
    }
  }
  return 0
}

function isCard(digits: string): boolean {
  const lead = Number(digits.slice(0, 4))
  return ranges.some((range) => lead >= range.from && lead <= range.to && range.lengths.includes(digits.length)) && luhn(digits)
}

/** ISO/IEC 7812-1, annex B. */
export function luhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    let value = digits.charCodeAt(digits.length - 1 - index) - 48
    if (index % 2 === 1) {
      value *= 2
      if (value > 9) value -= 9
    }
    sum += value
  }
  return sum % 10 === 0
}

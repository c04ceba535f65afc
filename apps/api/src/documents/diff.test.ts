import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { unifiedDiff } from './diff.js'

/** Applies a diff with `patch`'s rules: context and removed lines must be there. */
function patch(before: string, diff: string): string {
  const source = before === '' ? [] : before.replace(/\n$/, '').split('\n')
  const out: string[] = []
  let at = 0
  for (const line of diff.split('\n').slice(2)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+/.exec(line)
    if (hunk) {
      const start = hunk[2] === '0' ? Number(hunk[1]) : Number(hunk[1]) - 1
      out.push(...source.slice(at, start))
      at = start
    } else if (line.startsWith('+')) out.push(line.slice(1))
    else if (line.startsWith('-') || line.startsWith(' ')) {
      expect(source[at]).toBe(line.slice(1))
      if (line.startsWith(' ')) out.push(line.slice(1))
      at++
    }
  }
  out.push(...source.slice(at))
  return out.length === 0 ? '' : out.join('\n') + '\n'
}

describe('unifiedDiff', () => {
  it('shows creation, deletion, nothing', () => {
    expect(unifiedDiff('User/x', undefined, 'a\nb\n')).toBe('--- /dev/null\n+++ b/User/x\n@@ -0,0 +1,2 @@\n+a\n+b\n')
    expect(unifiedDiff('User/x', 'a\n', undefined)).toBe('--- a/User/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n')
    expect(unifiedDiff('User/x', 'a', 'a')).toBe('')
  })

  it('writes what diff -u writes', () => {
    const before = Array.from({ length: 30 }, (_, i) => `line ${i}`)
    const after = before.toSpliced(3, 1, 'changed', 'more').toSpliced(25, 2)
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-diff-'))
    try {
      writeFileSync(join(directory, 'a'), before.join('\n') + '\n')
      writeFileSync(join(directory, 'b'), after.join('\n') + '\n')
      let expected = ''
      try {
        execFileSync('diff', ['-u', 'a', 'b'], { cwd: directory, encoding: 'utf8' })
      } catch (error) {
        if (error instanceof Error && 'stdout' in error) expected = String(error.stdout)
      }
      const ours = unifiedDiff('x', before.join('\n') + '\n', after.join('\n') + '\n')
      expect(ours.split('\n').slice(2)).toEqual(expected.split('\n').slice(2))
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('turns the one text into the other, for many random texts', () => {
    let seed = 7
    const random = (n: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
    for (let round = 0; round < 300; round++) {
      const text = (): string => Array.from({ length: random(25) }, () => 'abcd'[random(4)] + '\n').join('')
      const [before, after] = [text(), text()]
      if (before !== after) expect(patch(before, unifiedDiff('x', before, after))).toBe(after)
    }
  })
})

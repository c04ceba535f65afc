import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArgvPattern } from './argv.js'
import { decide } from './decide/decide.js'
import { PatternError } from './resource.js'
import type { Rule } from './rule.js'

const split = (text: string): string[] => (text === '' ? [] : text.split(' '))

describe('ArgvPattern', () => {
  it.each([
    ['uptime', 'uptime', true],
    ['uptime', 'uptime -p', false],
    ['uptime ...', 'uptime -p', true],
    ['uptime ...', 'uptime', true],
    ['systemctl status *', 'systemctl status nginx', true],
    ['systemctl status *', 'systemctl status', false],
    ['systemctl status *', 'systemctl restart nginx', false],
    ['systemctl status *', 'systemctl status nginx ssh', false],
    ['cat /var/log/*', 'cat /var/log/syslog', true],
    ['cat /var/log/*', 'cat /var/log/nginx/access.log', false],
    ['cat /var/log/**', 'cat /var/log/nginx/access.log', true],
    ['cat /var/log/**', 'cat /var/log/../../etc/shadow', false],
    ['cat /var/log/**', 'cat /var/log/..', false],
    ['cat /var/log/**', 'cat /var/log/a..b', true],
    ['git log *', 'git log --output=/etc/cron.d/x', false],
    ['git log --*', 'git log --oneline', true],
    ['dd if=* ...', 'dd if=../x', false],
    ['tail -n * /var/log/*', 'tail -n 5 /var/log/syslog', true],
    ['*', 'rm', true],
    ['"*"', 'rm', false],
    ['ls "..."', 'ls ...', true],
    ['ls "..."', 'ls a', false],
  ])('permission %s on %s: %s', (pattern, command, expected) => expect(new ArgvPattern(pattern).matches(split(command), [], true)).toBe(expected))

  it('a word with a space is one word', () => {
    const pattern = new ArgvPattern('cat "/srv/my file"')
    expect(pattern.matches(['cat', '/srv/my file'], [], true)).toBe(true)
    expect(pattern.matches(['cat', '/srv/my', 'file'], [], true)).toBe(false)
    expect(new ArgvPattern('cat *').matches(['cat', 'a b'], [], true)).toBe(true)
  })

  it('what only the shell will know is never permitted by a word, and always restricted', () => {
    expect(new ArgvPattern('cat **').matches(['cat', '$F'], [1], true)).toBe(false)
    expect(new ArgvPattern('cat ...').matches(['cat', '$F'], [1], true)).toBe(true)
    expect(new ArgvPattern('cat -n ...').matches(['cat', '$F'], [1], true)).toBe(false)
    expect(new ArgvPattern('cat -n').matches(['cat', '$F'], [1], false)).toBe(true)
    expect(new ArgvPattern('rm').matches(['cat', '$F'], [1], false)).toBe(false)
    expect(new ArgvPattern('cat /etc/shadow').matches(['cat', 'a', '$F'], [2], false)).toBe(false)
    expect(new ArgvPattern('rm -rf **').matches(['rm', '-rf', '../x'], [], false)).toBe(true)
  })

  it.each(['', '  ', '...', '... a', 'a ... b', '"a', 'a"b"', '"a"b', '""'])('refuses %j', (text) => {
    expect(() => new ArgvPattern(text)).toThrow(PatternError)
  })

  it('a quoted command matches itself alone', () => {
    const words = fc.array(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(words, words, (argv, other) => {
        const pattern = new ArgvPattern(argv.map((word) => `"${word.replaceAll('"', '""')}"`).join(' '))
        expect(pattern.matches(argv, [], true)).toBe(true)
        expect(pattern.matches(other, [], true)).toBe(JSON.stringify(argv) === JSON.stringify(other))
      }),
    )
  })
})

describe('rules with argv', () => {
  const tree = { actions: { 'ssh.exec': 'runs a command' }, aliases: {} }
  const rule = (verdict: Rule['verdict'], argv: string[], index: number): Rule => ({ policy: 'p', index, verdict, actions: ['ssh.exec'], on: [], argv })
  const rules = [rule('allow', ['cat /var/log/**', 'ls ...'], 0), rule('deny', ['ls -R ...', 'rm ...'], 1)]
  const context = { actions: tree, text: '' }
  const run = (argv: readonly string[], unknown?: readonly number[]) =>
    decide([{ action: 'ssh.exec', resource: argv[0] ?? '', details: { argv, ...(unknown ? { unknown } : {}) } }], rules, context)

  it('permit and restrict', () => {
    expect(run(['cat', '/var/log/a']).verdict).toBe('allow')
    expect(run(['cat', '/etc/a'])).toMatchObject({ verdict: 'deny', rule: 'default-deny' })
    expect(run(['cat', '/etc/a']).hint).toContain('cat /var/log/**')
    expect(run(['ls', '/']).verdict).toBe('allow')
    expect(run(['ls', '-R', '/'])).toMatchObject({ verdict: 'deny', rule: 'p#1' })
    expect(run(['ls', '$X'], [1])).toMatchObject({ verdict: 'deny', rule: 'p#1' })
  })

  it('an effect without argv is permitted by none, and restricted by each', () => {
    const bare = [{ action: 'ssh.exec', resource: 'ls' }]
    expect(decide(bare, rules.slice(0, 1), context)).toMatchObject({ verdict: 'deny', rule: 'default-deny' })
    expect(decide(bare, rules, context)).toMatchObject({ verdict: 'deny', rule: 'p#1' })
  })
})

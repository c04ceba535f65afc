import { describe, expect, test } from 'vitest'
import type { ActionTree, Effect } from '../effect.js'
import type { Decision, Rule } from '../rule.js'
import { decide } from './decide.js'

const tree: ActionTree = { actions: { ssh: '', 'ssh.shell': '', 'ssh.exec': '', 'ssh.pty': '' }, aliases: {} }
const of = (more: Partial<Rule>): Rule => ({ policy: 'p', index: 0, verdict: 'allow', actions: ['ssh.shell'], on: [], ...more })
const shell: Effect = { action: 'ssh.shell', resource: '' }
const pty: Effect = { action: 'ssh.pty', resource: '', harmless: true }
const exec = (resource: string): Effect => ({ action: 'ssh.exec', resource })
const decided = (effects: readonly Effect[], ...rules: Rule[]): Decision => decide(effects, rules, { text: '', actions: tree })

describe('a shell', () => {
  test('is guarded as soon as one rule that permits it says so, held or not', () => {
    expect(decided([shell, pty], of({})).shell).toBeUndefined()
    expect(decided([shell, pty], of({}), of({ shell: 'guarded' }))).toMatchObject({ verdict: 'allow', shell: 'guarded', reason: expect.stringContaining('guarded') })
    const held = of({ verdict: 'hold', shell: 'guarded', approvers: { groups: ['ops'], quorum: 1 } })
    expect(decided([shell, pty], of({}), held)).toMatchObject({ verdict: 'hold', shell: 'guarded' })
    expect(decided([exec('ls')], of({ actions: ['ssh.exec'] }), of({ shell: 'guarded' }))).not.toHaveProperty('shell')
  })
})

describe('a program in it', () => {
  const vim = of({ actions: ['ssh.exec'], on: ['vim'], interactive: true })
  const rest = of({ actions: ['ssh'] })

  test('may be typed into where a rule that permits it says so', () => {
    expect(decided([exec('vim')], vim, rest)).toMatchObject({ verdict: 'allow', interactive: true })
    expect(decided([exec('vim'), pty], vim, rest)).toMatchObject({ verdict: 'allow', interactive: true })
  })

  test('may not where another effect of the line has no such rule', () => {
    for (const effects of [[exec('vim'), exec('less')], [exec('less')]]) {
      const decision = decided(effects, vim, rest)
      expect(decision.verdict).toBe('allow')
      expect(decision.interactive).toBeUndefined()
    }
    expect(decided([pty], vim).interactive).toBeUndefined()
  })
})

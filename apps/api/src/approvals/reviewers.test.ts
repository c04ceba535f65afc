import { describe, expect, it } from 'vitest'
import { ciContext } from './ci.js'
import { countingGroups, isSatisfied, isSelf, type Reviewer } from './reviewers.js'
import { visibleText } from './visible.js'

const dana: Reviewer = { name: 'dana', email: 'dana@example.com', groups: ['dba'], aliases: { github: 'OctoDana' }, disabled: false }
const run = (more: object) => ({ identityKind: 'workload', identity: 'shop-ci', actor: null, claims: {}, ...more })

describe('self-approval', () => {
  it('knows the person behind a run by name, e-mail and alias, however it is written', () => {
    for (const actor of ['dana', 'DANA', 'octodana', 'ＯｃｔｏＤａｎａ', 'dana@EXAMPLE.com', 'da\u200bna', ' dana ']) {
      expect(isSelf(dana, run({ actor })), actor).toBe(true)
      expect(isSelf(dana, run({ claims: { actor } })), actor).toBe(true)
    }
    expect(isSelf(dana, run({ claims: { user_login: 'octodana' } }))).toBe(true)
    expect(isSelf(dana, { ...run({}), identityKind: 'user', identity: 'dana' })).toBe(true)
  })
  it('lets everybody else vote', () => {
    for (const actor of ['dan', 'danae', '', 'octocat']) expect(isSelf(dana, run({ actor }))).toBe(false)
    // A workload that happens to be called like the user is not the user.
    expect(isSelf(dana, run({ identity: 'dana' }))).toBe(false)
    expect(isSelf({ ...dana, aliases: { github: '' } }, run({ actor: '' }))).toBe(false)
  })
})

describe('quorum', () => {
  const two = [{ rule: 'p#0', groups: ['dba'], quorum: 2 }]
  const vote = (user: string, groups: string[], verdict = 'approve') => ({ user, verdict, groups })
  it('counts distinct approvers in the groups asked', () => {
    expect(isSatisfied(two, [vote('a', ['dba'])])).toBe(false)
    expect(isSatisfied(two, [vote('a', ['dba']), vote('a', ['dba'])])).toBe(false)
    expect(isSatisfied(two, [vote('a', ['dba']), vote('b', ['sre'])])).toBe(false)
    expect(isSatisfied(two, [vote('a', ['dba']), vote('b', ['dba'], 'reject')])).toBe(false)
    expect(isSatisfied(two, [vote('a', ['dba']), vote('b', ['dba'])])).toBe(true)
  })
  it('needs every requirement; one person counts twice only with both groups', () => {
    const both = [{ rule: 'p#0', groups: ['dba'], quorum: 1 }, { rule: 'q#1', groups: ['security'], quorum: 1 }]
    expect(isSatisfied(both, [vote('a', ['dba'])])).toBe(false)
    expect(isSatisfied(both, [vote('a', ['dba', 'security'])])).toBe(true)
    expect(isSatisfied([], [vote('a', ['dba'])])).toBe(false)
    expect(countingGroups(dana, both)).toEqual(['dba'])
  })
})

describe('what reviewers see', () => {
  it('spells out what hides or reorders', () => {
    expect(visibleText('a\u202eb\u200bc\u001b[2Jd\r\n\te\u00a0f')).toBe('a\\u202eb\\u200bc\\u001b[2Jd\\u000d\n\te\\u00a0f')
    expect(visibleText('SELECT \'é 漢字 🎉\'')).toBe('SELECT \'é 漢字 🎉\'')
    expect(visibleText('\u{e0041}')).toBe('\\u{e0041}')
  })
  it('links to the run, and never to a host that a claim could choose by its form', () => {
    expect(ciContext({ repository: 'acme/shop', run_id: '7', sha: 'abc' }, 'x')).toEqual({
      repository: 'acme/shop', commit: 'abc', run_url: 'https://github.com/acme/shop/actions/runs/7', actor: 'x',
    })
    expect(ciContext({ repository: 'acme/shop', run_id: '../../evil' }, null)?.run_url).toBeUndefined()
    expect(ciContext({ repository: 'acme/shop', run_url: 'javascript:alert(1)' }, null)?.run_url).toBeUndefined()
    expect(ciContext({ project_path: 'acme/shop', iss: 'https://gitlab.example.com', job_id: '9' }, null)?.run_url).toBe('https://gitlab.example.com/acme/shop/-/jobs/9')
    expect(ciContext({ email: 'x' }, null)).toBeUndefined()
  })
})

describe('separate people', () => {
  const vote = (user: string, ...groups: string[]) => ({ user, verdict: 'approve', groups })
  const needs = [
    { rule: 'p#0', groups: ['dba'], quorum: 1, separate: true as const },
    { rule: 'q#1', groups: ['security'], quorum: 1 },
  ]
  it('one person in both groups is not enough, two are, in whatever order they come', () => {
    expect(isSatisfied(needs, [vote('a', 'dba', 'security')])).toBe(false)
    expect(isSatisfied(needs, [vote('a', 'dba', 'security'), vote('b', 'dba')])).toBe(true)
    expect(isSatisfied(needs, [vote('b', 'dba'), vote('a', 'dba', 'security')])).toBe(true)
    expect(isSatisfied(needs, [vote('a', 'dba', 'security'), vote('b', 'security')])).toBe(true)
    expect(isSatisfied(needs, [vote('a', 'dba', 'security'), vote('b', 'ops')])).toBe(false)
  })
  it('finds an assignment wherever there is one, and none where there is none', () => {
    const three = [
      { rule: 'p#0', groups: ['a', 'b'], quorum: 2, separate: true as const },
      { rule: 'q#1', groups: ['b', 'c'], quorum: 1 },
    ]
    expect(isSatisfied(three, [vote('x', 'b'), vote('y', 'a'), vote('z', 'a', 'b')])).toBe(true)
    expect(isSatisfied(three, [vote('x', 'a'), vote('y', 'a'), vote('z', 'a')])).toBe(false)
    expect(isSatisfied(three, [vote('x', 'b'), vote('y', 'b')])).toBe(false)
  })
})

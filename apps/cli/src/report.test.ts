import { ApiProblem, ApiUnreachable } from '@sallyport/api-client'
import { CommanderError } from 'commander'
import { describe, expect, it } from 'vitest'
import { CliError, exitCode } from './errors.js'
import { failureOf, report } from './report.js'

const exitOf = (status: number, body: Record<string, unknown> = {}): number => failureOf(new ApiProblem(status, body)).exit

describe('exit codes', () => {
  it.each([
    ['not signed in', 401, {}, exitCode.denied],
    ['not permitted', 403, {}, exitCode.denied],
    ['not there', 404, {}, exitCode.notFound],
    ['changed meanwhile', 409, { code: 'APPROVAL_DECIDED' }, exitCode.conflict],
    ['a log that is broken is no conflict', 409, { code: 'AUDIT_BROKEN' }, exitCode.error],
    ['too many requests', 429, {}, exitCode.error],
    ['away', 503, {}, exitCode.unreachable],
    ['a proxy whose control plane is away', 502, {}, exitCode.unreachable],
    ['a token that is refused in an exchange', 400, { error: 'invalid_grant' }, exitCode.denied],
    ['a target that is unknown in an exchange', 400, { error: 'invalid_target' }, exitCode.notFound],
    ['anything else', 422, { code: 'INVALID_DOCUMENTS' }, exitCode.error],
  ])('%s', (_what, status, body, code) => {
    expect(exitOf(status, body)).toBe(code)
  })

  it('tells nobody there from no answer in time: only the latter may have been done', () => {
    const nobody = failureOf(new ApiUnreachable('nothing answers', false, { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) }))
    expect(nobody).toMatchObject({ exit: exitCode.unreachable, why: expect.any(String) })
    expect(failureOf(new ApiUnreachable('no answer in time', true, {})).exit).toBe(exitCode.timedOut)
  })

  it('an error of its own has its own, and what is unforeseen is an error', () => {
    expect(failureOf(new CliError('x', { exit: exitCode.conflict })).exit).toBe(exitCode.conflict)
    expect(failureOf(new TypeError('x')).exit).toBe(exitCode.error)
    expect([report(new CommanderError(0, 'commander.help', '')), report(new CommanderError(1, 'commander.unknownOption', ''))]).toEqual([exitCode.ok, exitCode.usage])
  })
})

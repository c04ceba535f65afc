/**
 * What is promised of a command and of its record when something breaks: the one source of docs/audit-faults.md. Each row is a test;
 * `fault-reporter.ts` fails a run in which the test of a row is gone, or did not run with its file.
 */
export interface Fault {
  readonly id: string
  readonly fault: string
  /** Where in a command's life. */
  readonly step: string
  /** `audit` of the policy. */
  readonly mode: 'any' | 'strict' | 'spooled' | 'best_effort'
  readonly client: string
  /** What stands in the record once everything is up again; that it is whole from the beginning is checked every time. */
  readonly record: string
  readonly recovery: string
  /** File and beginning of the test's name; by default the row's own test in faults.test.ts. */
  readonly test?: readonly [file: string, name: string]
}

export const ownTests = 'test/audit/faults.test.ts'

const again = 'by itself, when the process is started again'
const mended = 'by itself, within seconds of its end'
const lost = 'connection lost'
const spoolUnit = 'packages/kit/src/spool/spool-room.test.ts'
const spoolTests = 'packages/kit/src/spool/spool.test.ts'
const ingest = 'apps/api/src/audit/audit.test.ts'
const postgres = 'test/postgres/faults.test.ts'
const disk = 'test/postgres/spool-disk.test.ts'
const ssh = 'test/ssh/faults.test.ts'
const modes = 'packages/kit/src/audit-modes.test.ts'
const gateway = 'test/control/compromised-gateway.test.ts'

export const faults: readonly Fault[] = [
  { id: 'AG1', fault: 'kill -9 of the agent', step: 'before the record', mode: 'spooled', client: lost, record: 'nothing; nothing ran', recovery: again },
  { id: 'AG2', fault: 'kill -9 of the agent', step: 'recorded', mode: 'spooled', client: lost, record: 'command, end `unknown`; nothing ran', recovery: again },
  { id: 'AG3', fault: 'kill -9 of the agent', step: 'sent to the target', mode: 'spooled', client: lost, record: 'command, end `unknown`; it may have run', recovery: again },
  { id: 'AG4', fault: 'kill -9 of the agent', step: 'the result arrives', mode: 'spooled', client: `${lost}, no result`, record: 'command, end `unknown`; it ran', recovery: again },
  { id: 'AG5', fault: 'kill -9 of the agent', step: 'before the record of the end', mode: 'spooled', client: `the result, or ${lost}`, record: 'command, end `unknown`; it ran', recovery: again },
  { id: 'AG6', fault: 'kill -9 of the agent', step: 'end recorded', mode: 'spooled', client: `the result, or ${lost}`, record: 'command and its own end', recovery: again },
  { id: 'AG7', fault: 'kill -9 of the agent', step: 'acknowledged', mode: 'spooled', client: 'the result', record: 'command and its own end, once', recovery: again },
  { id: 'AG8', fault: 'kill -9 of the agent', step: 'running, in a transaction', mode: 'spooled', client: lost, record: 'command, end `unknown`, session end `agent_crashed`; rolled back', recovery: again, test: [postgres, 'in the middle of a statement: the client sees an error'] },
  { id: 'AG9', fault: 'kill -9 of the agent', step: 'held for approval', mode: 'spooled', client: lost, record: 'never ran; its approval is void', recovery: again, test: [postgres, 'while a statement is held: nothing runs, and its approval is void'] },
  { id: 'AG10', fault: 'kill -9 of the agent or the gateway', step: 'running, held, in a file transfer (SSH)', mode: 'spooled', client: lost, record: 'ends `unknown` or `cancelled`; the held one never ran', recovery: again, test: [ssh, 'of %s: every client gets an end'] },
  { id: 'AG11', fault: 'kill -9 of the agent', step: 'its spool is full', mode: 'any', client: lost, record: 'what was open is closed within the room that is kept', recovery: 'the agent starts on the full spool and sends what is in it', test: [spoolUnit, 'an agent can start on it, and close what the last one left open'] },
  { id: 'CP1', fault: 'kill -9 of the control plane', step: 'the record arrives', mode: 'strict', client: 'refused: the record could not be made durable', record: 'command, once; nothing ran', recovery: again },
  { id: 'CP2', fault: 'kill -9 of the control plane', step: 'inserted, not committed', mode: 'strict', client: 'refused: the record could not be made durable', record: 'command, once; nothing ran', recovery: again },
  { id: 'CP3', fault: 'kill -9 of the control plane', step: 'committed, not acknowledged', mode: 'strict', client: 'refused: the record could not be made durable', record: 'command, once; nothing ran', recovery: again },
  { id: 'CP4', fault: 'kill -9 of the control plane', step: 'between commands', mode: 'spooled', client: 'running sessions go on; no new session, no approval', record: 'everything that ran', recovery: again, test: [postgres, 'no new session and no approval; what runs goes on'] },
  { id: 'CP5', fault: 'kill -9 of the control plane', step: 'held for approval', mode: 'spooled', client: 'waits on, and gets its result', record: 'ran once', recovery: again, test: [postgres, 'a hold that was approved before the crash, or is approved after it, runs once'] },
  { id: 'CP6', fault: 'kill -9 of the control plane', step: 'running, and new ones on an open connection (SSH)', mode: 'spooled', client: 'what was allowed goes on; no new session, no approval', record: 'everything that ran', recovery: again, test: [ssh, 'of the control plane: what was allowed goes on'] },
  { id: 'CP7', fault: 'the control plane stays away', step: 'between commands', mode: 'any', client: 'the session ends with its lease', record: 'session end `lease_expired`', recovery: 'a new session', test: [postgres, 'a session does not outlive its lease when the control plane stays away'] },
  { id: 'GW1', fault: 'kill -9 of a gateway', step: 'running, in a transaction', mode: 'spooled', client: `${lost}; sessions of the other gateway go on`, record: 'whole; rolled back', recovery: again, test: [postgres, 'ends its sessions only; the other gateway goes on'] },
  { id: 'TG1', fault: 'kill -9 of the target', step: 'running', mode: 'spooled', client: `error, or ${lost}`, record: 'command, end `error` or `unknown`', recovery: 'a new session' },
  { id: 'ST1', fault: 'partition of agent and control plane', step: 'running; it succeeds', mode: 'strict', client: 'no result: refused, and the session ends', record: 'command and its end `ok`', recovery: mended },
  { id: 'ST2', fault: 'partition of agent and control plane', step: 'running; it fails', mode: 'strict', client: 'not even the error: refused, and the session ends', record: 'command and its end `error`', recovery: mended },
  { id: 'ST3', fault: 'partition of agent and control plane', step: 'before the command', mode: 'strict', client: 'refused: nothing runs unrecorded', record: 'command; nothing ran', recovery: mended, test: [postgres, 'denies while the control plane can not make the record durable'] },
  { id: 'PT1', fault: 'partition of agent and control plane', step: 'whole command', mode: 'spooled', client: 'the result', record: 'command and its own end', recovery: mended },
  { id: 'PT2', fault: 'partition of agent and gateway', step: 'running', mode: 'spooled', client: 'waits, then the result', record: 'commands and their own ends', recovery: mended },
  { id: 'PT3', fault: 'a gateway withholds records', step: 'sent', mode: 'any', client: 'nothing of it', record: 'whole, by another gateway', recovery: 'the next gateway is tried when no acknowledgement comes', test: [gateway, 'C what it withholds, either way, still reaches the agent through an honest gateway'] },
  { id: 'DB1', fault: 'the database is full', step: 'whole command', mode: 'spooled', client: 'the result; overdue: refused, with the cause', record: 'everything that ran', recovery: mended },
  { id: 'DB2', fault: 'the database fails (I/O error)', step: 'whole command', mode: 'spooled', client: 'the result; overdue: refused, with the cause', record: 'everything that ran', recovery: mended },
  { id: 'DB3', fault: 'the database hangs', step: 'whole command', mode: 'spooled', client: 'the result; overdue: refused, with the cause', record: 'everything that ran', recovery: mended },
  { id: 'DB4', fault: 'the database is full', step: 'before the command', mode: 'strict', client: 'refused, with the cause', record: 'command; nothing ran', recovery: mended },
  { id: 'DB5', fault: 'the database is restarted (all its connections end)', step: 'whole command', mode: 'spooled', client: 'the result', record: 'commands and their own ends, once', recovery: mended },
  { id: 'SP1', fault: 'the spool is full', step: 'before the command', mode: 'spooled', client: 'waits for room, then refused with the cause', record: 'what was begun is closed', recovery: mended, test: [postgres, 'a spool that is full denies, and what was begun is closed'] },
  { id: 'SP2', fault: 'the spool is full', step: 'whatever is open', mode: 'any', client: 'as before', record: 'every command, recording and session is closed, however many', recovery: mended, test: [spoolUnit, 'whatever was begun can be closed, however much that is'] },
  { id: 'SP3', fault: 'the spool is full', step: 'whole commands', mode: 'best_effort', client: 'the results; a held command is refused', record: 'a `gap` with exactly the ordinals and counts that are missing', recovery: mended },
  { id: 'SP4', fault: 'kill -9 of the agent', step: 'session under best_effort', mode: 'best_effort', client: lost, record: 'a `gap` from the last recorded command on, `certain: false`', recovery: again },
  { id: 'SP5', fault: 'the spool is lost or an older copy', step: 'before the command', mode: 'any', client: 'refused', record: 'the alert; nothing ran', recovery: 'by hand: revoke the agent, and enrol it again', test: [postgres, 'R an agent whose spool was deleted or restored from an older copy runs nothing any more'] },
  { id: 'SP6', fault: 'records wait for too long', step: 'command and result', mode: 'spooled', client: 'waits as under strict, then refused with the cause', record: 'command', recovery: mended, test: [modes, 'overdue: waits as strict does'] },
  { id: 'DK1', fault: "the spool's disk is full", step: 'before the command', mode: 'spooled', client: 'waits for room, then refused with the cause', record: 'what was begun is closed', recovery: 'by itself, when there is room', test: [disk, 'R ENOSPC: a full file system'] },
  { id: 'DK2', fault: "the spool's disk is full", step: 'whatever is open', mode: 'any', client: 'as before', record: 'everything is closed, in the room that a file held', recovery: 'by itself, when there is room', test: [spoolUnit, 'ENOSPC: what is open is closed in the room that was held'] },
  { id: 'DK3', fault: "a write to the spool's disk fails half-way", step: 'the record', mode: 'spooled', client: 'refused', record: 'whole: the half record is cut off', recovery: 'by hand: mend the disk, start the agent again', test: [disk, 'R EFBIG: write(2) fails in the middle of a record'] },
  { id: 'DK4', fault: "the spool's disk fails (EIO on write)", step: 'the record', mode: 'spooled', client: 'refused', record: 'up to the failure', recovery: 'by hand: mend the disk, start the agent again', test: [spoolUnit, 'EIO: refuses everything at once and for good'] },
  { id: 'DK5', fault: "the spool's disk fails (EIO on fsync)", step: 'behind the record', mode: 'any', client: 'the next command is refused', record: 'up to the failure', recovery: 'by hand: mend the disk, start the agent again', test: [spoolUnit, 'EIO when it is synced: what was written is not trusted'] },
  { id: 'DK6', fault: 'power is lost in mid-write', step: 'the record', mode: 'any', client: lost, record: 'whole: the torn record is cut off', recovery: again, test: [spoolTests, 'a torn last record is cut off, at whatever byte it was torn'] },
  { id: 'DK7', fault: 'the spool is corrupt (a bit flips)', step: 'recorded', mode: 'any', client: 'no session', record: 'nothing behind the damage is sent; file and byte are named', recovery: 'by hand: keep the file, start with a new spool', test: [spoolTests, 'R a flipped bit in the middle is an error that names the place'] },
  { id: 'DK8', fault: 'the spool is corrupt (a segment is gone)', step: 'recorded', mode: 'any', client: 'no session', record: 'nothing behind the hole is sent', recovery: 'by hand: keep the files, start with a new spool', test: [spoolTests, 'R a missing segment is an error'] },
  { id: 'DK9', fault: "the spool's disk is slow", step: 'the record', mode: 'spooled', client: 'the command takes as long as the write', record: 'command and its own end', recovery: mended },
  { id: 'DV1', fault: 'batches arrive twice, overlap, or out of order', step: 'sent', mode: 'any', client: 'nothing of it', record: 'each record once, in order; a batch behind a hole is not taken', recovery: 'sent again from the hole on', test: [ingest, 'is idempotent, refuses gaps, and survives overlapping batches'] },
  { id: 'DV2', fault: 'the same batch arrives many times at once', step: 'sent', mode: 'any', client: 'nothing of it', record: 'each record once', recovery: mended, test: [ingest, 'stores each record once when the same batch arrives many times at once'] },
  { id: 'DV3', fault: 'a gateway repeats, changes or invents records', step: 'sent', mode: 'any', client: 'nothing of it', record: 'only what the agent signed', recovery: mended, test: [gateway, 'C it can neither repeat, change nor invent a message of an agent'] },
  { id: 'CL1', fault: "the agent's clock jumps an hour ahead", step: 'between commands', mode: 'spooled', client: 'sessions go on; new ones are refused: their grants look expired', record: 'everything that ran, with the times of that clock', recovery: 'when the clock is right again' },
  { id: 'CL2', fault: "the agent's clock jumps an hour back", step: 'between commands', mode: 'spooled', client: 'sessions go on, and end no later than before; no new one but under a grant that fits', record: 'everything that ran, in its order, with the times of that clock', recovery: 'when the clock is right again' },
  { id: 'CL3', fault: "the control plane's clock jumps an hour ahead", step: 'between commands', mode: 'spooled', client: 'sessions go on; no new one with a token that looks expired', record: 'everything that ran', recovery: 'when the clock is right again' },
  { id: 'CL4', fault: "the control plane's clock jumps an hour back", step: 'between commands', mode: 'spooled', client: 'sessions go on; no new one under a grant that looks expired to the agent', record: 'everything that ran', recovery: 'when the clock is right again' },
]

/** docs/audit-faults.md. */
export function faultsPage(): string {
  const row = ({ id, fault, step, mode, client, record, recovery, test = [ownTests, id] }: Fault): string =>
    `| ${id} | ${fault} | ${step} | ${mode} | ${client} | ${record} | ${recovery} | \`${test[0]} › ${test[1]}\` |`
  return [
    '# What happens to the record when something breaks',
    '',
    'Made from `test/audit/faults.ts`. Each row is a test, mostly with the real processes: they are killed, stopped and cut off, and the database and the disk',
    'fail. After each the record is verified from its beginning, and what the target did is compared with it. A gap is never silent: where a row says that',
    'something ran, it is on record, or a `gap` event says that it is missing.',
    '',
    '| | fault | step of the command | mode | the client sees | on record, afterwards | it goes on | test |',
    '|---|---|---|---|---|---|---|---|',
    ...faults.map(row),
    '',
    'How the faults are made: processes die by SIGKILL, of themselves at the named step (a file that the test loads into them watches for a mark in the',
    'statement); partitions are SIGSTOP; the full and failing database is a trigger, the hanging one a lock. ENOSPC is a tiny tmpfs where one can be mounted, and a',
    'replaced `fs.writeSync` in unit tests; EIO is the latter alone. Clocks are set inside the process, not on the machine.',
    '',
  ].join('\n')
}

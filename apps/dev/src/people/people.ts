/** A person of the demo, as its identity provider knows them. */
export interface DemoPerson {
  readonly sub: string
  readonly name: string
  readonly login: string
  readonly email: string
  readonly groups: readonly string[]
  /** Shown on the sign-in page. */
  readonly about: string
}

export const people: readonly DemoPerson[] = [
  { sub: 'p-1001', name: 'Ada Okafor', login: 'ada', email: 'ada@example.com', groups: ['platform'], about: 'administrator' },
  { sub: 'p-1002', name: 'Dana Reyes', login: 'dana', email: 'dana@example.com', groups: ['dba'], about: 'DBA, approves changes of data' },
  { sub: 'p-1003', name: 'Olaf Berg', login: 'olaf', email: 'olaf@example.com', groups: ['audit'], about: 'auditor' },
  { sub: 'p-1004', name: 'Mina Park', login: 'mina', email: 'mina@example.com', groups: ['interns'], about: 'has no access here' },
]

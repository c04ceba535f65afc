import type { WhoAmI } from './api.js'

/** Which roles see and do what, as the API decides it: the console only leaves out what would be refused. */
export const overseers = ['admin', 'auditor']
export const readers = ['admin', 'auditor', 'operator', 'policy_author']
export const operators = ['admin', 'operator']

export const has = (me: WhoAmI, roles: readonly string[]): boolean => me.roles.some((role) => roles.includes(role))

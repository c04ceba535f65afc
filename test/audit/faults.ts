export interface Fault { readonly id: string; readonly fault: string; readonly step: string; readonly mode: string }
const ids = 'ST1 ST2 AG1 AG2 AG3 AG4 AG5 AG6 AG7 CP1 CP2 CP3 TG1 DB1 DB2 DB3 DB4 DB5 PT1 PT2 BE1 BE2 CL1 CL2 CL3 CL4'
export const faults: readonly Fault[] = ids.split(' ').map((id) => ({ id, fault: 'f', step: 's', mode: 'm' }))

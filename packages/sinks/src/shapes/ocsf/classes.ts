/** Version of the Open Cybersecurity Schema Framework that the output is of. */
export const ocsfVersion = '1.5.0'

/** The classes used, with the captions that the schema gives them. */
export const classes = {
  process: { uid: 1007, name: 'Process Activity', category: 1, categoryName: 'System Activity' },
  finding: { uid: 2004, name: 'Detection Finding', category: 2, categoryName: 'Findings' },
  authentication: { uid: 3002, name: 'Authentication', category: 3, categoryName: 'Identity & Access Management' },
  authorize: { uid: 3003, name: 'Authorize Session', category: 3, categoryName: 'Identity & Access Management' },
  entity: { uid: 3004, name: 'Entity Management', category: 3, categoryName: 'Identity & Access Management' },
  ssh: { uid: 4007, name: 'SSH Activity', category: 4, categoryName: 'Network Activity' },
  lifecycle: { uid: 6002, name: 'Application Lifecycle', category: 6, categoryName: 'Application Activity' },
  api: { uid: 6003, name: 'API Activity', category: 6, categoryName: 'Application Activity' },
  datastore: { uid: 6005, name: 'Datastore Activity', category: 6, categoryName: 'Application Activity' },
} as const

export type OcsfClass = keyof typeof classes

/** A class with one of its activities and the fields that are the class's own. */
export interface Classified {
  readonly class: OcsfClass
  readonly activity: number
  /** Caption of the activity; the kind of the event where the schema has none for it (99, Other). */
  readonly activityName: string
  readonly fields: Readonly<Record<string, unknown>>
}

import { parseCanonical, relatives } from './relations.js';
import { systemRelation } from './system-catalogs.js';
import { viewShape } from './views.js';
const actions = { insert: 'sql.insert', update: 'sql.update', delete: 'sql.delete', truncate: 'sql.ddl.truncate' };
/**
 * A write and all that follows from it: parents and partitions, triggers, cascading foreign keys, rules, defaults and generated
 * columns that call functions, the tables under an updatable view.
 */
export function writeEffect(walk, resolved, write, options = {}) {
    const details = {
        ...options.details,
        ...(resolved.temporary ? { temp: true } : {}),
        ...(systemRelation(resolved.schema, resolved.name) !== undefined ? { sensitive: true } : {}),
    };
    walk.effects.add(options.action ?? actions[write], resolved.resource, { details });
    const relation = resolved.relation;
    if (relation)
        follow(walk, resolved, relation, write, options.inherit !== false, new Set([`${write} ${resolved.resource}`]));
}
function follow(walk, resolved, relation, write, inherit, seen) {
    walk.charge(1);
    const via = { via: [resolved.resource] };
    relatives(walk, resolved, relation, actions[write], inherit, via);
    triggered(walk, resolved.resource, relation, write);
    if (inherit)
        for (const child of relation.children)
            ownTriggers(walk, child, write);
    if (relation.hasRules && write !== 'truncate')
        walk.effects.add('sql.code', resolved.resource, { implied: true, details: { ...via, rules: true } });
    if (write === 'insert' || write === 'update') {
        for (const column of relation.columns) {
            for (const called of column.calls ?? [])
                walk.effects.add('sql.call', `function ${called}`, { implied: true, details: { ...via, default: true } });
        }
    }
    for (const cascade of relation.cascades) {
        if (cascade.on !== write)
            continue;
        impliedWrite(walk, cascade.table, cascade.action, { ...via, cascade: true }, seen);
    }
    if (relation.definition !== undefined && write !== 'truncate') {
        for (const effect of viewShape(walk, relation).effects) {
            if (effect.action === 'sql.select' && effect.harmless !== true)
                impliedWrite(walk, effect.resource, write, via, seen);
        }
    }
}
function impliedWrite(walk, resource, write, details, seen) {
    const key = `${write} ${resource}`;
    if (seen.has(key))
        return;
    seen.add(key);
    walk.effects.add(actions[write], resource, { implied: true, details });
    const relation = walk.names.catalog.relationNamed(resource);
    if (!relation)
        return;
    const { schema, name } = parseCanonical(resource);
    follow(walk, { schema, name, resource, relation, temporary: false }, relation, write, true, seen);
}
/** Row triggers of the partitions fire too. */
function ownTriggers(walk, resource, write) {
    const relation = walk.names.catalog.relationNamed(resource);
    if (!relation)
        return;
    triggered(walk, resource, relation, write);
    for (const child of relation.children)
        ownTriggers(walk, child, write);
}
function triggered(walk, resource, relation, write) {
    for (const trigger of relation.triggers) {
        if (!trigger.events.includes(write))
            continue;
        walk.effects.add('sql.call', `function ${trigger.function}`, { implied: true, details: { via: [resource], trigger: true } });
    }
}
//# sourceMappingURL=writes.js.map
"""Makes ocsf-1.5.0.json: the rules of the classes used, out of the published schema (Apache-2.0, https://schema.ocsf.io).
Input: 1.5.0.json of the PyPI package ocsf-json-schema. Usage: extract.py 1.5.0.json > ocsf-1.5.0.json"""
import json
import sys

schema = json.load(open(sys.argv[1]))
classes = ['process_activity', 'detection_finding', 'authentication', 'authorize_session', 'entity_management', 'ssh_activity', 'application_lifecycle', 'api_activity', 'datastore_activity']
objects = set()


def rules(entry):
    attributes = {}
    for name, a in entry['attributes'].items():
        rule = {'t': a.get('object_type') if a['type'] == 'object_t' else a['type']}
        if a['type'] == 'object_t':
            rule['o'] = 1
        if a.get('requirement') == 'required':
            rule['r'] = 1
        if a.get('is_array'):
            rule['a'] = 1
        if a.get('profile'):
            rule['p'] = a['profile']
        if a.get('enum'):
            rule['e'] = {k: v['caption'] for k, v in a['enum'].items()}
        if a.get('sibling'):
            rule['s'] = a['sibling']
        attributes[name] = rule
    return {'attributes': attributes, **({'constraints': entry['constraints']} if entry.get('constraints') else {})}


# Only objects that our output has: anything else is an error of the validator's.
wanted = ['metadata', 'product', 'actor', 'user', 'session', 'network_endpoint', 'database', 'query_info', 'api', 'request', 'service', 'resource_details', 'managed_entity', 'finding_info', 'process', 'device', 'policy', 'object']
out = {
    'version': schema['version'],
    'classes': {str(schema['classes'][c]['uid']): {'name': schema['classes'][c]['caption'], 'category': schema['classes'][c]['category_uid'], 'category_name': schema['classes'][c].get('category_name'), **rules(schema['classes'][c])} for c in classes},
    'objects': {o: rules(schema['objects'][o]) for o in wanted if o in schema['objects']},
}
json.dump(out, sys.stdout, separators=(',', ':'), sort_keys=True)

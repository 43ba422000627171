<?php
// What PHP's client and server have in common.

// Derived types are told apart by these; without classmap all are stdClass.
class Person {}
class Company {}
class Payment {}
class BankPayment {}

const ORDERS = 'http://example.com/catalog/orders';
const OPTIONS = [
    'cache_wsdl' => WSDL_CACHE_NONE,
    'features' => SOAP_SINGLE_ELEMENT_ARRAYS, // else an array of one is no array
    'classmap' => ['Person' => 'Person', 'Company' => 'Company', 'Payment' => 'Payment', 'BankPayment' => 'BankPayment'],
];

function text(string $path, mixed $v): string
{
    return match (true) {
        is_bool($v) => $v ? 'true' : 'false',
        is_float($v) => is_nan($v) ? 'NaN' : (is_infinite($v) ? ($v > 0 ? '+Inf' : '-Inf') : var_export($v, true)),
        in_array($path, ['picture', 'checksum']) => bin2hex($v),
        default => (string) $v,
    };
}

// raw is an element as it is, for what PHP's types cannot hold.
function raw(string $name, string $content): SoapVar
{
    return new SoapVar("<o:$name xmlns:o='" . ORDERS . "' xmlns:t='http://example.com/catalog/types'>$content</o:$name>", XSD_ANYXML);
}

// flatten puts all of a value into a view.
function flatten(array &$view, string $path, mixed $v): void
{
    if ($v === null) {
        $view[$path] = '(nil)';
    } elseif (is_array($v)) {
        foreach ($v as $i => $x) {
            flatten($view, "{$path}[$i]", $x);
        }
    } elseif (is_object($v)) {
        $before = count($view);
        if (in_array($path, ['customer', 'payment'])) {
            $view["$path.@type"] = get_class($v);
        }
        foreach (get_object_vars($v) as $name => $x) {
            $at = $name === '_' ? $path : ltrim($path . '.' . strtolower($name), '.');
            flatten($view, $at, $x);
        }
        if (count($view) === $before && $path !== '') {
            $view[$path] = '(empty)';
        }
    } else {
        $view[$path] = text($path, $v);
    }
}

function view(mixed $v): array
{
    $view = [];
    flatten($view, '', $v);
    return $view;
}

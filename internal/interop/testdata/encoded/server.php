<?php
// Serves the description WSDL with SoapServer, as router of "php -S". What
// arrives must have the types that the description gives.

function want(bool $ok, string $what): void
{
    if (!$ok) {
        throw new SoapFault('Client', $what);
    }
}

function person(mixed $p): void
{
    want(is_object($p) && is_string($p->name) && is_int($p->age) && is_float($p->height) && is_string($p->born) && is_bool($p->member), 'no person: ' . json_encode($p));
    want(property_exists($p, 'nick') && ($p->nick === null || is_string($p->nick)), 'no nick');
}

function items(mixed $list, callable $each): void
{
    want(is_array($list) && array_is_list($list), 'no list: ' . json_encode($list));
    array_walk($list, $each);
}

class Encoded
{
    public function echoStruct(mixed $person): mixed
    {
        if ($person !== null) {
            person($person);
        }
        return $person;
    }

    public function echoStrings(mixed $list): mixed
    {
        items($list, fn ($s) => want(is_string($s), 'no string'));
        return $list;
    }

    public function echoNumbers(mixed $list): mixed
    {
        items($list, fn ($n) => want(is_int($n), 'no number'));
        return $list;
    }

    public function echoPeople(mixed $list): mixed
    {
        items($list, person(...));
        return $list;
    }

    public function echoTable(mixed $table): mixed
    {
        items($table, $this->echoNumbers(...));
        return $table;
    }

    public function echoTeam(mixed $team): mixed
    {
        items($team->members, person(...));
        if ($team->lead !== null) { // the same object in three places
            $team->deputy = $team->members[] = $team->lead;
        }
        return $team;
    }

    public function echoAny(mixed $value): mixed
    {
        return $value;
    }

    public function echoChain(mixed $chain): mixed
    {
        return $chain;
    }

    public function divide(mixed $dividend, mixed $divisor): array
    {
        want($divisor !== 0, 'division by zero');
        return ['quotient' => intdiv($dividend, $divisor), 'remainder' => $dividend % $divisor];
    }

    public function ping(): void {}
}

$server = new SoapServer(getenv('WSDL'), ['cache_wsdl' => WSDL_CACHE_NONE, 'features' => SOAP_SINGLE_ELEMENT_ARRAYS]);
$server->setObject(new Encoded());
$server->handle();

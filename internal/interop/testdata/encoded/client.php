<?php
// Calls the server at URL by the description WSDL and prints what it got, one
// line of JSON for each call: its name and its answer.

[, $wsdl, $url, $version] = $argv;
$client = new SoapClient($wsdl, [
    'location' => $url, 'soap_version' => $version === '1.2' ? SOAP_1_2 : SOAP_1_1, 'cache_wsdl' => WSDL_CACHE_NONE,
    'features' => SOAP_SINGLE_ELEMENT_ARRAYS,
]);

function call(string $name, mixed ...$args): void
{
    global $client;
    try {
        $answer = $client->__soapCall($name, $args);
    } catch (SoapFault $e) {
        $answer = 'fault: ' . $e->getMessage();
    }
    echo json_encode([$name, $answer], JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES), "\n";
}

$ada = (object) ['name' => 'Ada <&>', 'age' => 36, 'height' => 1.65, 'born' => '1815-12-10T00:00:00Z', 'nick' => null, 'member' => true];
$bob = (object) ['name' => '', 'age' => -1, 'height' => 0.0, 'born' => '2000-02-29T12:00:00+02:00', 'nick' => 'b', 'member' => false];
call('echoStruct', $ada);
call('echoStruct', null);
call('echoStrings', ['a', '', 'c']);
call('echoStrings', []);
call('echoNumbers', [1, -2]);
call('echoPeople', [$ada, $bob, $ada]);
call('echoTable', [[1, 2], [], [3]]);
call('echoTeam', (object) ['name' => 't', 'lead' => $ada, 'deputy' => $ada, 'members' => [$ada, $bob], 'tags' => ['x']]);
call('echoTeam', (object) ['name' => 't', 'lead' => null, 'deputy' => null, 'members' => [], 'tags' => []]);
call('echoAny', 42);
call('echoAny', 'text');
call('echoAny', ['k' => 'v', 'n' => 1]);
call('echoAny', [$bob, $bob]);
call('echoAny', null);
call('echoChain', (object) ['link' => '1', 'next' => (object) ['link' => '2', 'next' => null]]);
$circle = (object) ['link' => '1'];
$circle->next = $circle;
call('echoChain', $circle);
call('divide', 17, 5);
call('divide', 1, 0);
call('ping');

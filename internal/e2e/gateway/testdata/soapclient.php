<?php
// Calls the service HR with SoapClient: by itself for Basic, and with curl under it
// for the logins that it does not know. Input and output are those of program in
// foreign_test.go.

$c = json_decode(stream_get_contents(STDIN), true);
$name = $c['domain'] . '\\' . $c['user'];

class CurlClient extends SoapClient
{
    public CurlHandle $handle; // one, since NTLM logs a connection in

    public function __doRequest(string $request, string $location, string $action, int $version, bool $oneWay = false): ?string
    {
        curl_setopt_array($this->handle, [
            CURLOPT_URL => $location, CURLOPT_POSTFIELDS => $request,
            CURLOPT_HTTPHEADER => ['Content-Type: text/xml; charset=utf-8', 'SOAPAction: "' . $action . '"'],
        ]);
        return send($this->handle);
    }
}

function send(CurlHandle $h): string
{
    $answer = curl_exec($h);
    if ($answer === false) {
        throw new Exception(curl_error($h));
    }
    return $answer;
}

$options = ['cache_wsdl' => WSDL_CACHE_NONE, 'features' => SOAP_SINGLE_ELEMENT_ARRAYS];
if ($c['login'] === 'basic') {
    $client = new SoapClient($c['wsdl'], $options + [
        'login' => $name, 'password' => $c['password'],
        'stream_context' => stream_context_create(['ssl' => ['cafile' => $c['ca']]]),
    ]);
} else {
    $h = curl_init();
    $at = parse_url($c['wsdl']);
    curl_setopt_array($h, [
        CURLOPT_RETURNTRANSFER => true, CURLOPT_PROXY => '', CURLOPT_RESOLVE => [$at['host'] . ":$at[port]:$c[ip]"],
        CURLOPT_TIMEOUT => 60, CURLOPT_CAINFO => $c['ca'],
        CURLOPT_HTTPAUTH => $c['login'] === 'ntlm' ? CURLAUTH_NTLM : CURLAUTH_NEGOTIATE,
        CURLOPT_USERPWD => $c['login'] === 'ntlm' ? "$name:$c[password]" : ':',
    ]);
    // The description, and what it imports, come over the same connection.
    $dir = $c['dir'];
    curl_setopt($h, CURLOPT_URL, $c['wsdl']);
    $wsdl = send($h);
    $wsdl = preg_replace_callback('/schemaLocation="([^"]*)"/', function (array $m) use ($h, $dir) {
        curl_setopt($h, CURLOPT_URL, html_entity_decode($m[1]));
        file_put_contents("$dir/imported.xsd", send($h));
        return 'schemaLocation="imported.xsd"';
    }, $wsdl);
    file_put_contents("$dir/hr.wsdl", $wsdl);
    $client = new CurlClient("$dir/hr.wsdl", $options);
    $client->handle = $h;
}
$who = $client->WhoAmI(new stdClass());
$out = ['user' => $who->user, 'token' => $who->token, 'mechanism' => $who->mechanism];
try {
    $out['receipt'] = $client->Pay(['amount' => 7])->receipt;
} catch (SoapFault $f) {
    $out['fault'] = $f->getMessage();
}
echo json_encode($out);

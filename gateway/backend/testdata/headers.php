<?php
// Says what a PHP program sees of the request: each variable on a line.
header('Content-Type: text/plain');
foreach ($_SERVER as $name => $value) {
    if (is_string($value) && (str_starts_with($name, 'HTTP_') || $name === 'REQUEST_URI' || $name === 'PHP_AUTH_USER')) {
        echo $name, '=', $value, "\n";
    }
}
echo 'BODY=', file_get_contents('php://input'), "\n";
